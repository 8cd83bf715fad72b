"""Every mutant fits the program, and changes it."""

from __future__ import annotations

import pytest

from tests.mutants.mutant import PATCHES, ROOT, Mutant, Unfit, mutants

ALL = mutants()


def test_there_are_at_least_thirty() -> None:
    assert len(ALL) >= 30


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
class TestAMutant:
    def test_fits_the_program_and_changes_it(self, mutant: Mutant) -> None:
        with mutant.tree() as tree:
            for file in mutant.files:
                text = (tree / file).read_text()
                assert text != (ROOT / file).read_text()
                compile(text, file, "exec")

    def test_says_what_is_wrong_and_why(self, mutant: Mutant) -> None:
        assert mutant.files
        assert mutant.wrong
        assert mutant.breaks


class TestAPatch:
    def test_that_does_not_fit_any_more_says_so(self) -> None:
        fits = Mutant.read(PATCHES / "votes-twice.patch")
        stale = Mutant("stale", "", "", (), "orders", "", 1, fits.diff.replace(" granted = (", " given = ("))
        with pytest.raises(Unfit, match=r"stale.patch does not apply"), stale.tree():
            pass

    def test_that_does_not_exist_is_told(self) -> None:
        with pytest.raises(Unfit, match="there is no mutant nonsense"):
            mutants(("nonsense",))
