"""Diagrams: of a tape made by hand, and of a run."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.simulation.diagram import rows, svg, text
from tests.simulation.plan import Fault, Plan
from tests.simulation.tape import Tape, words
from tests.simulation.witness import Failed
from tests.simulation.world import World
from toystore.consensus.messages import Append, AppendReply, Entry, Heartbeat, Kind, Ping, Vote, VoteReply
from toystore.consensus.views import View

A, B, C = "order-1", "order-2", "order-3"


def tape() -> Tape:
    """order-1 is elected and writes; its entry is lost to one and late at the other, which is down when it arrives."""
    tape = Tape([A, B, C])
    entry = Entry(1, 2, Kind.NOOP, b"")
    tape.line("  1.000000 order-1 leads in term 2, log 0..0")
    tape.message(1.001, Heartbeat(A, B, 2, 1, 0), [0.001])
    tape.message(1.0015, Heartbeat(A, B, 2, 2, 0), [0.001])
    tape.message(1.002, Append(A, B, 2, 1, 0, 0, 0, (entry,)), [])
    tape.message(1.003, Append(A, C, 2, 2, 0, 0, 0, (entry,)), [0.25])
    tape.line("  1.100000 order-3 dies, loses")
    tape.message(1.2, AppendReply(B, A, 2, "u", 1, 1, 0), [0.001])
    tape.line("  1.201000 order-1 commits 1 of term 2: order-1 order-2")
    tape.line("  1.202000 order-1 applies 1..1 abcd")
    tape.line("  1.300000 fault:   1.20 s  crash: loses at order-2 for 0.100 s")
    tape.line(f"  1.350000 the register stores {View('r', 0, 4, 3, B, {A: 'x', B: 'y'}, ('q',))}")
    tape.line("  1.400000 VIOLATION the sky is falling\nand more")
    return tape


class TestText:
    def test_has_a_column_for_each_node_and_a_row_for_what_matters(self) -> None:
        drawn = text(tape(), rows(tape()))
        lines = drawn.splitlines()
        assert lines[0].split() == [A, B, C]
        assert [line.split()[0] for line in lines[1:-2]] == [
            "1.0000", "1.0020", "1.0030", "1.1000", "1.2000", "1.2010", "⋮", "1.2530", "1.3000", "1.3500", "1.4000",
        ]  # fmt: skip
        assert "★" in lines[1]
        assert "║───✗" in lines[2]
        assert lines[2].endswith("Append 1..1/t2 after 0, commit 0, t2 (lost)")
        assert "║╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▷│" in lines[3]
        assert "║◀────────│         ┊" in lines[5]
        assert "✓" in lines[6]
        assert lines[8].endswith("sent 0.250 s ago (nobody there)")
        assert "⚡" in lines[9]
        assert lines[9].endswith("fault: crash: loses at order-2 for 0.100 s")
        assert lines[10].endswith("stores v4(order-2, e3, sync 1+2)")
        assert lines[11].endswith("VIOLATION the sky is falling")

    def test_of_some_nodes_says_where_it_leaves_something_out(self) -> None:
        chosen = rows(tape(), [A, B])
        drawn = text(tape(), chosen, [A, B])
        assert "order-3" not in drawn
        assert "⋮" in drawn

    def test_of_the_last_moments(self) -> None:
        assert [row.at for row in rows(tape(), last=0.15)] == [1.253, 1.3, 1.35, 1.4]
        assert [row.at for row in rows(tape(), count=2)] == [1.35, 1.4]

    def test_fits_its_width(self) -> None:
        assert max(map(len, text(tape(), rows(tape()), width=60).splitlines()[:-2])) == 60


def test_a_picture_is_xml_with_an_arrow_for_each_message() -> None:
    chosen = rows(tape())
    picture = ET.fromstring(svg(tape(), chosen))
    assert (
        len(picture.findall(".//*[@marker-end]")) == sum(row.goes in ("", "arrives") and bool(row.to) for row in chosen) == 2
    )


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Vote(A, B, 3, 7, 2, False), "Vote? t3, log 7/t2"),
        (VoteReply(A, B, 3, "u", True, True, False), "yes (pre) t3"),
        (Append(A, B, 3, 1, 4, 3, 4, ()), "Append nothing after 4, commit 4, t3"),
        (Ping(A, B, 3, 1, View("r", 0, 4, 3, B, {A: "x", B: "y"})), "Ping v4(order-2, e3, sync 1+2)"),
    ],
)
def test_messages_in_words(message: Vote, said: str) -> None:
    assert words(message) == said


@pytest.mark.parametrize("election", ["raft", "appointed"])
def test_of_a_run(election: str) -> None:
    """All nodes have their columns, what the disks save is there, and taping changes nothing."""
    plan = Plan(1, election, seconds=2.0, faults=(Fault("crash", "loses", 1.0, "leader", seconds=0.3),))
    tape = Tape.of(plan)
    world = World(plan, tape.line, tape.message)
    world.clock.callLater(1.5, world.violate, "the sky is falling")
    with pytest.raises(Failed, match="the sky is falling"):
        world.play()
    drawn = text(tape, rows(tape, count=200))
    for sign in "★■✓✝○⚡":
        assert sign in drawn
    assert drawn.splitlines()[-3].endswith("VIOLATION the sky is falling")
