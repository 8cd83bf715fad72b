"""Traces of the real core follow the rules of the model; a core with a rule weakened does not.

A failing seed is repeated by `python -m tests.model.trouble SEED`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.model.trace import Rejected
from tests.model.trouble import STEPS, Trouble
from toystore.consensus.appointed import AppointedOffice
from toystore.consensus.messages import Ask
from toystore.consensus.progress import Progress
from toystore.consensus.register import Register
from toystore.consensus.views import View

CHUNK = 250


@pytest.mark.parametrize("first", range(0, 2000, CHUNK))
def test_what_the_core_does_is_allowed(first: int) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        kinds += played(seed)
    assert not EXPECTED - kinds.keys(), f"never seen: {EXPECTED - kinds.keys()}"


def test_longer_lives() -> None:
    for seed in range(10_000, 10_050):
        played(seed, 10 * STEPS)


EXPECTED = {
    "Stored", "Told", "Took", "Raised", "Promised", "Appended", "Saved", "Crashed", "Restarted", "Answered", "Acknowledged",
    "Leads", "Proposed", "Asked", "Committed", "Applied", "ReadCame", "ReadShown", "epoch 3", "alone", "wiped",
}  # fmt: skip


def played(seed: int, steps: int = STEPS) -> Counter[str]:
    """The events of a seed, counted by kind."""
    trouble = Trouble(seed)
    try:
        trouble.play(steps)
    except (Rejected, AssertionError) as error:
        pytest.fail(f"python -m tests.model.trouble {seed} --steps {steps}\n{type(error).__name__}: {error}")
    views = trouble.realm.stored
    seen = {
        "epoch 3": any(view.epoch >= 3 for view in views),
        "alone": any(len(view.in_sync) == 1 for view in views),
        "wiped": trouble.wiped > 0,
    }
    return trouble.trace.tally + Counter(kind for kind, is_so in seen.items() if is_so)


# A core with a rule weakened -----------------------------------------------------------------------------------------


def any_ask(register: Register, ask: Ask) -> None:
    """R2: whatever version it names."""
    if register.view is not None and ask.sender == register.view.leader:
        register._change(ask.leader, ask.in_sync, new_epoch=ask.leader != register.view.leader)


def whoever_lives(register: Register, view: View) -> None:
    """R3: also out of the set."""
    live = {replica: seen.standing for replica, seen in register._seen.items() if register._lives(replica)}
    if live and register._lost(view):
        leader = register._highest(live)
        standing = live[leader]
        assert standing is not None
        register._change(leader, {**view.in_sync, leader: standing.uuid}, new_epoch=True)


def any_view(view: View, known: View | None, promised: object = None) -> bool:
    """V1: also a lower one."""
    return view != known


def any_storage(office: AppointedOffice, peer: str, progress: Progress) -> bool:
    """L3: an acknowledgement counts for the replica."""
    return peer in office._waited_for()


def anyone_joins(office: AppointedOffice, peer: str, progress: Progress) -> None:
    """L5: whatever it lacks."""
    if peer in office._node.config.other_voters and peer not in office._view.in_sync:
        office._ask_for(office._node.id, {**office._view.in_sync, peer: progress.uuid})


WEAKENED: dict[str, tuple[type, str, object]] = {
    "R2": (Register, "_on_ask", any_ask),
    "R3": (Register, "_maybe_replace", whoever_lives),
    "V1": (View, "replaces", any_view),
    "L2": (AppointedOffice, "_asked", None),
    "L3": (AppointedOffice, "counted", any_storage),
    "L5": (AppointedOffice, "welcome", anyone_joins),
}


@pytest.mark.parametrize("rule", WEAKENED)
def test_a_core_with_a_rule_weakened_is_rejected(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*WEAKENED[rule])
    for seed in range(1000):
        try:
            Trouble(seed).play()
        except Rejected as error:
            print(f"seed {seed}: {error}")
            return
    pytest.fail("all was allowed")
