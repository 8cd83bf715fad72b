"""What the model and its traces found in the core, as scenarios."""

from __future__ import annotations

import pytest

from tests.consensus.realm import Realm


@pytest.fixture
def three() -> Realm:
    realm = Realm.appointed()
    assert realm.settle() == "3"
    return realm


def without_1(realm: Realm) -> None:
    realm.crash("1")
    realm.gone("1")
    realm.settle()
    assert set(realm.view.in_sync) == {"order-2", "order-3"}


def test_who_alone_knows_the_last_view_is_waited_for(three: Realm) -> None:
    """1 joins, and is appointed alone, which only 1 hears; then the register loses its disk while 1 is down. Without the
    rule that all have promised, what 1 acknowledged alone is lost. (Mutant TakesOverByMembersAlone.)"""
    without_1(three)
    three.cut |= {("f1", "2"), ("f1", "3")}
    three.start("1")
    three.run(60)
    assert "order-1" in three.view.in_sync
    three.isolate("1")
    three.cut -= {("f1", "1"), ("1", "f1")}
    three.cut.add(("3", "f1"))
    three.run(130)
    assert three.leads() == "1"
    three.propose("1", "alone")
    three.run(10)
    assert three.commands("1") == ["alone"]
    three.crash("1")
    three.cut.clear()
    three.wires.clear()
    register = three.lose_register()
    three.run(150)
    assert three.register_disk is None, "1 has not answered"
    assert "order-1" in register.waits_for()
    three.start("1")
    three.run(150)
    assert "alone" in three.commands("2")


def test_a_disk_that_is_no_more_is_not_appointed(three: Realm) -> None:
    """While the leader waits for its heir to catch up, the heir is wiped; the new disk catches up. The view would name
    the old one, which is alone in it: nobody could ever lead again."""
    without_1(three)
    three.held |= {("3", "2")}
    three.propose("3", "a")
    assert three.node("3").transfer(leaving=True) == "order-2"
    three.wipe("2")
    three.start("2")
    three.held.clear()
    three.run(40)
    for view in three.stored:
        assert view.leader != "order-2" or view.in_sync["order-2"] == "u2'"
