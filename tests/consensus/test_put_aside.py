"""A replica whose database was put aside as broken comes back empty, and is not new: it founds nothing, with nobody.

As in test_required.py, "without ..." says what was taken out of the core to see the test fail.
"""

from __future__ import annotations

import pytest

from tests.consensus.harness import Network
from tests.consensus.realm import Realm
from toystore.consensus.messages import PreVote, Vote, VoteReply
from toystore.consensus.register import CannotAppoint


class TestElectedByVotes:
    def test_one_is_filled_from_the_others_and_counts_again(self, three: Network) -> None:
        three.propose("1", "kept")
        three.run(5)
        three.put_aside("3")
        three.run(60)
        assert three.node("3").named
        three.crash("2")
        three.propose("1", "with 3 alone")
        three.run(10)
        assert three.node("3").log.commit == three.node("1").log.last_index

    def test_a_leader_that_is_put_aside_leads_no_more_and_is_filled(self, three: Network) -> None:
        three.propose("1", "kept")
        three.run(5)
        three.put_aside("1")
        three.run(150)
        assert three.leaders[max(three.leaders)] in "23"
        assert three.node("1").named

    @pytest.mark.parametrize("names", ["12", "23", "123"])
    def test_a_majority_of_them_founds_nothing(self, three: Network, names: str) -> None:
        """Without `refilling` in `Node.new`: two of them, empty both, would begin the ledger again."""
        three.propose("1", "acknowledged")
        three.run(5)
        for name in names:
            three.put_aside(name)
        before = dict(three.leaders)
        three.run(600)
        assert three.leaders == before, "the history of before may be copied to them by the leader there was, and no more"
        assert not any(three.node(name).named for name in names)

    def test_they_do_not_found_with_one_that_is_new(self, three: Network) -> None:
        """Without `new` in the VoteReply: the new one would count them among the empty ones."""
        three.propose("1", "acknowledged")
        three.run(5)
        three.put_aside("1")
        three.put_aside("2")
        three.wipe("3")
        three.start("3")
        before = dict(three.leaders)
        three.run(600)
        assert all(three.node(name).log.empty for name in "123")
        assert three.leaders == before

    def test_they_go_on_once_one_that_counts_returns(self, three: Network) -> None:
        """2 is away while 3 is put aside: 1 alone can do nothing; with 2 it can, and 3 gets everything."""
        three.crash("2")
        three.propose("1", "later")
        three.put_aside("3")
        three.run(100)
        assert not three.node("3").named
        three.start("2")
        three.run(200)
        assert three.node("3").named
        assert three.node("3").log.commit == max(three.history)

    @pytest.mark.parametrize("request_type", [PreVote, Vote])
    def test_it_says_that_it_is_not_empty_and_votes_for_nobody(self, request_type: type[PreVote]) -> None:
        """Without `new` in `_counts`."""
        network = Network.of(3)
        network.put_aside("2")
        network.node("2").step(request_type("order-1", "order-2", 1, 0, 0, empty=True))
        network.pump("2")
        (reply,) = network.wires
        assert isinstance(reply, VoteReply)
        assert (reply.granted, reply.empty) == (False, False)

    def test_alone_it_does_not_begin(self) -> None:
        """Without `new` in `may_campaign`: a single replica would lead an empty ledger."""
        network = Network.of(1)
        network.elect("1")
        network.propose("1", "acknowledged")
        network.run(2)
        network.put_aside("1")
        before = dict(network.leaders)
        network.run(300)
        assert network.leaders == before


class TestAppointed:
    @pytest.fixture
    def realm(self) -> Realm:
        realm = Realm.appointed()
        assert realm.settle() == "3"
        realm.propose("3", "acknowledged")
        realm.run(10)
        return realm

    def test_one_is_left_out_filled_and_taken_in_again(self, realm: Realm) -> None:
        realm.put_aside("1")
        realm.run(400)
        assert realm.view.in_sync["order-1"] == "u1'"
        assert realm.commands("1") == ["acknowledged"]

    def test_a_leader_that_is_put_aside_is_replaced(self, realm: Realm) -> None:
        realm.put_aside("3")
        realm.run(400)
        assert realm.leads() == "2"
        assert realm.view.in_sync["order-3"] == "u3'"

    def test_where_all_are_nobody_leads(self, realm: Realm) -> None:
        for name in "123":
            realm.put_aside(name)
        assert realm.settle(600) == ""
        assert realm.register is not None
        assert "every acknowledged order" in realm.register.waits_for()

    def test_nor_with_a_register_that_is_new(self, realm: Realm) -> None:
        """Without `new` in the Standing: a new register would take three empty replicas for a new cluster."""
        realm.crash_register()
        for name in "123":
            realm.put_aside(name)
        realm.lose_register()
        assert realm.settle(600) == ""
        assert realm.register is not None
        assert realm.register.view is None
        assert "knows nothing" in realm.register.waits_for()

    def test_the_only_one_in_sync_is_waited_for_until_an_operator_decides(self, realm: Realm) -> None:
        realm.crash("1")
        realm.gone("1")
        realm.crash("2")
        realm.gone("2")
        realm.run(400)
        assert set(realm.view.in_sync) == {"order-3"}
        realm.propose("3", "of 3 alone")
        realm.run(10)
        realm.put_aside("3")
        realm.start("1")
        assert realm.settle(400) == ""
        assert realm.register is not None
        with pytest.raises(CannotAppoint, match="not in sync"):
            realm.register.appoint("order-1", accept_loss=False)
