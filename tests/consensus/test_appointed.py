"""The appointed election (design 3.1): each rule of the views, on the deterministic network."""

from __future__ import annotations

import pytest

from tests.consensus.realm import Realm
from toystore.consensus.messages import Ask, Ping
from toystore.consensus.register import CannotAppoint
from toystore.consensus.views import NO_CLAIM, View


@pytest.fixture
def three() -> Realm:
    realm = Realm.appointed()
    assert realm.settle() == "3"
    return realm


def in_sync(realm: Realm) -> set[str]:
    return {name.removeprefix("order-") for name in realm.view.in_sync}


class TestFirstView:
    def test_the_highest_id_leads_and_all_are_in_sync(self, three: Realm) -> None:
        assert three.view == View("R", 0, 1, 1, "order-3", {f"order-{n}": f"u{n}" for n in "123"})
        three.propose("3", "a")
        three.run(10)
        assert [three.commands(name) for name in "123"] == [["a"]] * 3

    def test_it_waits_for_every_replica(self) -> None:
        realm = Realm.appointed()
        realm.crash("1")
        assert realm.settle(300) == ""
        assert realm.register is not None
        assert "order-1" in realm.register.waits_for()
        realm.start("1")
        assert realm.settle() == "3"

    def test_one_that_another_register_had_stored_comes_too_late(self) -> None:
        """Two registers begin one after the other, with different founders: only one of their epochs 1 is ever led."""
        realm = Realm.appointed()
        realm.crash_register()
        realm.expected = ("1", "2")
        realm.crash("3")
        realm.start_register()
        realm.held |= {("f1", name) for name in "12"}
        late = View("R", 0, 1, 1, "order-2", {"order-1": "u1", "order-2": "u2"})
        realm.expected = None
        realm.start("3")
        realm.lose_register()
        realm.held.clear()
        assert realm.settle(150) == "3"
        for name in "12":
            realm.node(name).step(Ping("front-1", f"order-{name}", 1, 10**9, late))
            realm.pump(name)
        assert realm.settle() == "3"
        assert realm.view.register == "R'"

    def test_no_view_of_another_register_is_taken_after_a_promise(self) -> None:
        realm = Realm.appointed()
        realm.register_stalled = True
        realm.run(30)
        assert realm.node("2").hard_state.promised == (1, "R")
        late = View("Q", 0, 1, 1, "order-2", {"order-1": "u1", "order-2": "u2"})
        realm.node("2").step(Ping("front-1", "order-2", 1, 10**9, late))
        realm.pump("2")
        assert realm.node("2").hard_state.view is None

    def test_the_two_highest_dead_on_arrival(self) -> None:
        realm = Realm.appointed()
        realm.crash_register()
        realm.expected = ("1",)
        realm.crash("2")
        realm.crash("3")
        realm.start_register()
        assert realm.settle() == "1"
        assert in_sync(realm) == {"1"}
        realm.propose("1", "a")
        realm.run(2)
        assert realm.commands("1") == ["a"]
        realm.start("2")
        realm.start("3")
        assert realm.settle() == "1"
        assert in_sync(realm) == {"1", "2", "3"}
        assert realm.commands("3") == ["a"]

    def test_a_replica_with_a_ledger_and_no_view_is_not_founded_over(self) -> None:
        realm = Realm.appointed()
        realm.write("2", [1, 1])
        assert realm.settle(300) == ""
        assert realm.register is not None
        assert realm.register.waits_for()
        assert not realm.stored


class TestFailover:
    def test_the_next_highest_takes_over_and_the_old_one_comes_back_as_a_follower(self, three: Realm) -> None:
        three.propose("3", "a")
        three.run(5)
        three.crash("3")
        three.gone("3")
        assert three.settle() == "2"
        assert in_sync(three) == {"1", "2"}
        three.propose("2", "b")
        three.run(10)
        three.start("3")
        assert three.settle() == "2", "sticky: a rejoin never changes the leader"
        assert in_sync(three) == {"1", "2", "3"}
        assert three.commands("3") == ["a", "b"]

    def test_down_to_one_and_back(self, three: Realm) -> None:
        for name in "32":
            three.crash(name)
            three.gone(name)
            three.settle()
        assert three.leads() == "1"
        assert in_sync(three) == {"1"}
        three.propose("1", "alone")
        three.run(2)
        assert three.commands("1") == ["alone"]
        three.start("2")
        three.start("3")
        three.settle()
        assert three.leads() == "1"
        assert [three.commands(name) for name in "23"] == [["alone"]] * 2

    def test_a_leader_that_is_silent_without_having_ended(self, three: Realm) -> None:
        three.isolate("3")
        three.run(90)
        assert three.view.version == 1, "suspect_after has not passed"
        assert three.settle() == "2"
        three.propose("3", "lost")
        three.cut.clear()
        three.run(20)
        assert three.leads() == "2"
        assert three.node("3").leadership is None
        assert "lost" not in three.commands("3")

    def test_a_silent_leader_is_not_appointed_anew(self, three: Realm) -> None:
        """Also where suspect_after is shorter than the time for which an answer shows that a replica lives."""
        three.register_suspects = 20
        three.start_register()
        three.run(10)
        three.isolate("3")
        three.run(50)
        assert three.view.leader == "order-2"
        assert [view.leader for view in three.stored] == ["order-3", "order-2", "order-2"], "and leaves order-3 out"

    def test_only_out_of_sync_replicas_are_alive(self, three: Realm) -> None:
        """Rule 6: 503 names whom it waits for."""
        three.crash("1")
        three.gone("1")
        three.run(20)
        three.propose("3", "a")
        three.run(5)
        three.crash("2")
        three.gone("2")
        three.run(20)
        assert in_sync(three) == {"3"}
        three.crash("3")
        three.gone("3")
        three.start("1")
        three.start("2")
        assert three.settle(300) == ""
        assert three.register is not None
        assert three.register.waits_for().startswith("waiting for order-3, which has every acknowledged order")
        assert "order-1" in three.register.waits_for()
        three.start("3")
        assert three.settle() == "3"
        assert three.commands("1") == ["a"]

    def test_one_whose_disk_is_lost_as_it_is_appointed_is_not_the_only_one_left(self, three: Realm) -> None:
        """Found by seed 2266 of the simulator: were the silent ones left out together with the appointment, order-2 would
        be the only one in sync, and have nothing."""
        three.propose("3", "a")
        three.run(5)
        three.crash("3")
        three.isolate("1")
        three.cut |= {("f1", "2")}
        three.gone("3")
        three.run(70)
        assert three.view.leader == "order-2"
        three.wipe("2")
        three.start("2")
        three.cut.clear()
        assert three.settle(60) == "1"
        assert three.commands("1") == ["a"]
        assert in_sync(three) == {"1", "2"}

    def test_a_restarted_leader_does_not_lead_on_in_its_epoch(self, three: Realm) -> None:
        """Rule 3: leadership ends with the process; it may get a new epoch."""
        three.restart("3")
        assert three.node("3").leadership is None
        assert three.settle() == "3"
        assert (three.view.epoch, three.view.leader) == (2, "order-3")

    def test_nobody_leads_while_the_register_is_away_and_buys_go_on(self, three: Realm) -> None:
        """Rule 8."""
        three.crash_register()
        three.propose("3", "a")
        three.node("3").read_index(7)
        three.run(10)
        assert three.commands("1") == ["a"]
        assert 7 in three.replicas["3"].reads
        three.crash("3")
        assert three.settle(300) == ""
        three.start_register()
        three.gone("3")
        assert three.settle(150) == "2"
        assert three.commands("2") == ["a"]


class TestWhoIsWaitedFor:
    def test_nothing_is_committed_until_the_view_without_the_silent_one_is_stored(self, three: Realm) -> None:
        """Rule 4. Without it: the leader would count on a view that it has only asked for."""
        three.crash("1")
        three.register_stalled = True
        three.propose("3", "a")
        three.run(150)
        assert three.commands("3") == []
        three.register_stalled = False
        three.crash_register()
        three.start_register()
        three.gone("1")
        three.run(50)
        assert in_sync(three) == {"2", "3"}
        assert three.commands("3") == ["a"]

    def test_a_view_that_was_asked_for_binds_before_it_is_answered(self, three: Realm) -> None:
        """Rule 4. The register has stored the view with 1, and nobody has heard of it; 1 may lead next."""
        three.crash("1")
        three.gone("1")
        three.run(30)
        assert in_sync(three) == {"2", "3"}
        three.start("1")
        three.held |= {("f1", name) for name in "123"}
        three.run(20)
        assert in_sync(three) == {"1", "2", "3"}
        assert three.node("3").durable.view != three.view
        three.isolate("1")
        three.propose("3", "a")
        three.run(20)
        assert three.commands("3") == [], "1 is in sync, for all that 3 can know"

    def test_a_wiped_member_counts_for_nothing(self, three: Realm) -> None:
        three.wipe("1")
        three.start("1")
        assert three.settle() == "3"
        assert three.view.in_sync["order-1"] == "u1'"
        assert three.view.version == 3, "left out as u1, taken in again as u1'"

    def test_a_wiped_leader_is_not_appointed_again(self, three: Realm) -> None:
        three.propose("3", "a")
        three.run(5)
        three.wipe("3")
        three.start("3")
        assert three.settle() == "2"
        assert three.commands("3") == ["a"]
        assert in_sync(three) == {"1", "2", "3"}

    def test_a_wiped_leader_does_not_lead_its_epoch_again(self, three: Realm) -> None:
        """To its new disk the present view is new. What it would append has an index and an epoch that others know."""
        three.cut.add(("3", "f1"))
        three.wipe("3")
        three.start("3")
        three.run(50)
        assert three.node("3").hard_state.view == three.stored[0]
        assert three.node("3").leadership is None

    def test_a_member_whose_disk_stalls_is_left_out(self, three: Realm) -> None:
        """It answers heartbeats, and acknowledges nothing."""
        three.stall("1")
        three.propose("3", "a")
        three.run(90)
        assert three.commands("3") == []
        three.run(40)
        assert three.commands("3") == ["a"]
        assert in_sync(three) == {"2", "3"}
        three.unstall("1")
        three.run(60)
        assert in_sync(three) == {"1", "2", "3"}

    def test_a_leader_whose_disk_stalls_is_replaced(self, three: Realm) -> None:
        three.stall("3")
        three.propose("3", "a")
        assert three.settle(60) == "2"
        three.unstall("3")
        three.run(20)
        assert three.node("3").leadership is None

    def test_one_that_is_alone_goes_on_when_its_disk_does(self, three: Realm) -> None:
        """To end its office would help nobody, and cost a new epoch."""
        for name in "12":
            three.crash(name)
            three.gone(name)
            three.run(20)
        three.stall("3")
        three.propose("3", "a")
        three.run(80)
        assert three.leads() == "3"
        assert three.commands("3") == []
        three.unstall("3")
        three.run(10)
        assert three.commands("3") == ["a"]
        assert three.view.epoch == 1

    def test_a_replica_joins_only_after_the_no_op_of_the_epoch(self, three: Realm) -> None:
        """Rule 5. Its log may end in what an older leader left there."""
        three.crash("1")
        three.gone("1")
        three.run(20)
        three.crash("3")
        three.gone("3")
        three.isolate("2")
        three.cut -= {("f1", "2"), ("2", "f1")}
        three.start("1")
        three.run(20)
        assert three.leads() == "2"
        assert in_sync(three) == {"2"}
        assert three.node("2").log.commit == three.node("2").log.last_index
        three.cut.clear()
        three.run(20)
        assert in_sync(three) == {"1", "2"}


class TestFencing:
    def test_no_replica_acts_on_a_lower_view_or_another_of_the_same_version(self, three: Realm) -> None:
        """Rule 2."""
        known = three.node("1").hard_state.view
        assert known is not None
        for view in (
            View("R", 0, 1, 9, "order-1", {"order-1": "u1"}),
            View("R", 0, 0, 9, "order-1", {"order-1": "u1"}),
            View("S", 0, 7, 9, "order-1", {"order-1": "u1"}),
        ):
            three.node("1").step(Ping("front-1", "order-1", view.epoch, 10**9, view))
            three.pump("1")
            assert three.node("1").hard_state.view == known
            assert three.node("1").hard_state.term == 1

    def test_a_disk_that_has_promised_nothing_stays_with_the_register_it_knows(self, three: Realm) -> None:
        three.wipe("1")
        three.start("1")
        three.settle()
        known = three.node("1").hard_state
        assert known.promised == NO_CLAIM
        other = View("S", 0, 9, 9, "order-1", {"order-1": "u1'"})
        three.node("1").step(Ping("front-1", "order-1", 9, 10**9, other))
        three.pump("1")
        assert three.node("1").hard_state == known

    def test_a_view_is_saved_before_it_is_told_of(self, three: Realm) -> None:
        three.stall("1")
        view = View("R", 0, 2, 2, "order-2", {"order-1": "u1", "order-2": "u2"})
        three.wires.clear()
        three.node("1").step(Ping("front-1", "order-1", 2, 10**9, view))
        three.pump("1")
        assert not [m for m in three.wires if m.sender == "order-1"]
        three.unstall("1")
        assert three.replicas["1"].disk.hard_state.view == view

    def test_an_ask_at_another_version_is_refused(self, three: Realm) -> None:
        assert three.register is not None
        alone = {"order-3": "u3"}
        for ask in (
            Ask("order-3", "front-1", 1, 0, "order-3", alone),
            Ask("order-2", "front-1", 1, 1, "order-2", {"order-2": "u2"}),
            Ask("order-3", "front-1", 1, 1, "order-1", alone),
        ):
            three.register.step(ask)
            three.pump_register()
            assert three.view.version == 1
        three.register.step(Ask("order-3", "front-1", 1, 1, "order-3", alone))
        three.pump_register()
        assert in_sync(three) == {"3"}

    def test_a_stored_view_survives_the_register(self, three: Realm) -> None:
        three.crash_register()
        three.start_register()
        three.run(20)
        assert (three.leads(), three.view.version) == ("3", 1)

    def test_reads_of_a_leader_that_was_replaced_are_never_confirmed(self, three: Realm) -> None:
        three.isolate("3")
        three.node("3").read_index(5)
        three.pump("3")
        assert three.settle(150) == "2"
        assert 5 not in three.replicas["3"].reads
        three.cut.clear()
        three.run(20)
        assert three.replicas["3"].lost_reads == [5]

    def test_a_leader_alone_reads_by_its_own_view(self, three: Realm) -> None:
        for name in "12":
            three.crash(name)
            three.gone(name)
            three.run(20)
        three.node("3").read_index(5)
        three.pump("3")
        assert 5 in three.replicas["3"].reads


class TestHandOver:
    def test_a_leader_that_ends_hands_over_first(self, three: Realm) -> None:
        three.propose("3", "a")
        three.run(5)
        assert three.node("3").transfer(leaving=True) == "order-2"
        three.pump("3")
        three.run(10)
        assert three.leads() == "2"
        assert set(three.stored[1].in_sync) == {"order-1", "order-2"}, "nobody need wait for one that ends"

    def test_highest_hands_over_to_a_higher_id_that_has_long_been_healthy(self) -> None:
        realm = Realm.appointed(hand_over_ticks=200)
        realm.settle()
        realm.crash("3")
        realm.gone("3")
        assert realm.settle() == "2"
        realm.start("3")
        realm.run(100)
        assert realm.leads() == "2"
        realm.run(150)
        assert realm.leads() == "3"
        assert in_sync(realm) == {"1", "2", "3"}

    def test_an_operator_may_name_another_that_is_in_sync(self, three: Realm) -> None:
        assert three.register is not None
        three.register.appoint("order-1", accept_loss=False)
        three.pump_register()
        assert three.settle() == "1"

    @pytest.mark.parametrize("name", ["order-4", "order-1"])
    def test_what_can_not_be_appointed(self, three: Realm, name: str) -> None:
        three.crash("1")
        three.gone("1")
        three.run(20)
        assert three.register is not None
        with pytest.raises(CannotAppoint, match=name):
            three.register.appoint(name, accept_loss=False)


class TestALossIsAccepted:
    def test_a_new_generation_begins_with_the_one_that_was_named(self, three: Realm) -> None:
        """Rule 6."""
        three.crash("1")
        three.gone("1")
        three.run(20)
        three.propose("3", "lost")
        three.run(5)
        three.wipe("2")
        three.wipe("3")
        three.gone("2")
        three.gone("3")
        three.start("1")
        three.run(150)
        assert three.leads() == ""
        three.accept_loss("1")
        assert three.settle() == "1"
        assert three.view.generation == three.node("1").generation == 1
        three.propose("1", "new")
        three.run(5)
        assert three.commands("1") == ["new"]


class TestANewRegister:
    def test_it_is_refused_until_the_whole_in_sync_set_has_answered(self, three: Realm) -> None:
        """Rule 7."""
        three.propose("3", "a")
        three.run(5)
        three.crash("2")
        three.lose_register()
        assert three.settle(200) == "3", "the leader goes on"
        assert three.register is not None
        assert "order-2" in three.register.waits_for()
        assert three.register.view is None
        three.start("2")
        three.settle(200)
        view = three.register.view
        assert view is not None
        assert (view.register, view.taken_over, view.epoch) == ("R'", ("R",), 2)
        three.propose(three.leads(), "b")
        three.run(30)
        assert three.commands("1") == ["a", "b"]

    def test_one_whose_disk_went_back_to_an_older_view(self, three: Realm) -> None:
        old = three.register_disk
        three.crash("1")
        three.gone("1")
        three.run(30)
        assert three.view.version == 2
        later = three.view.version
        three.crash("3")
        three.crash_register()
        three.register_disk = old
        three.start_register()
        three.start("1")
        three.gone("3")
        assert three.settle(200) == "", "order-3 is in the latest in-sync set that 2 remembers"
        three.start("3")
        assert three.settle(200) == "3"
        assert three.view.version > later

    def test_what_the_old_register_still_says_comes_too_late(self, three: Realm) -> None:
        """A view that it had stored, under way to a replica while the new register took over."""
        late = View("R", 0, 2, 2, "order-2", {"order-1": "u1", "order-2": "u2"})
        three.lose_register()
        three.settle(100)
        taken = three.view
        assert (taken.register, taken.version) == ("R'", 2)
        for name in "12":
            three.node(name).step(Ping("front-1", f"order-{name}", 2, 10**9, late))
            three.pump(name)
            assert three.node(name).hard_state.view == taken

    def test_a_promise_binds_before_the_new_register_has_stored_anything(self, three: Realm) -> None:
        """Without it: 2 would lead in the old register's next view while 3 leads in that of the new one."""
        register = three.lose_register()
        three.register_stalled = True
        three.run(100)
        assert register.view is None
        late = View("R", 0, 2, 2, "order-2", {"order-1": "u1", "order-2": "u2"})
        three.node("2").step(Ping("front-1", "order-2", 2, 10**9, late))
        three.pump("2")
        three.restart("2")
        three.node("2").step(Ping("front-1", "order-2", 2, 10**9, late))
        three.pump("2")
        assert three.leads() == "3"
        assert three.node("2").hard_state.promised == (2, "R'")
