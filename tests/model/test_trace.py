"""The checker of traces takes a good one and rejects bad ones."""

from __future__ import annotations

import pytest

from tests.model.state import Ask, Entry, Members, View
from tests.model.trace import (
    Acknowledged,
    Answered,
    Appended,
    Applied,
    Asked,
    Committed,
    Crashed,
    Leads,
    Promised,
    Proposed,
    ReadCame,
    ReadShown,
    RegisterLost,
    Rejected,
    Restarted,
    Saved,
    Stored,
    Told,
    Took,
    Trace,
)

ALL: Members = ((0, 0), (1, 0), (2, 0))
FIRST = View(0, 0, 1, 1, 2, ALL)
WITHOUT_1 = View(0, 0, 2, 1, 2, ((0, 0), (2, 0)))
NEXT = View(0, 0, 2, 2, 1, ALL)
LATER = NEXT._replace(epoch=5)
NOOP, BUY = Entry(1, 0), Entry(1, 1)

FOUNDED = (
    *(Promised(who, 0) for who in range(3)),
    *(Answered(who) for who in range(3)),
    Stored(FIRST),
    *(Told(who, FIRST) for who in range(3)),
)
LED = (*FOUNDED, *(Took(who, FIRST) for who in range(3)), Leads(2, 1), Proposed(2, NOOP))
FOLLOWED = (
    *LED,
    Saved(2, 1, (NOOP,)),
    *(Appended(who, 1, 1) for who in (0, 1)),
    *(Acknowledged(who, 1, 1) for who in (0, 1)),
)
SERVED = (*FOLLOWED, Committed(2, 1), Applied(2, 1), Proposed(2, BUY))
DROP = Ask(1, 1, 2, 2, ((0, 0), (2, 0)))
DROPPED = (*SERVED, Asked(2, DROP), Stored(WITHOUT_1))
ALONE = (*SERVED, Asked(2, Ask(1, 1, 2, 2, ((2, 0),))), Stored(WITHOUT_1._replace(in_sync=((2, 0),))))
REPLACED = (*SERVED, Stored(NEXT), Took(1, NEXT), Leads(1, 2), Proposed(1, Entry(2, 0)))

GOOD = {
    "a command with two acknowledgements": (
        *SERVED, *(Appended(who, 1, 2) for who in (0, 1)), *(Acknowledged(who, 1, 2) for who in (0, 1)), Committed(2, 2),
    ),
    "without the member that was dropped": (
        *DROPPED, Took(2, WITHOUT_1), Appended(0, 1, 2), Acknowledged(0, 1, 2), Committed(2, 2),
    ),
    "a failover, and an epoch left out": (*SERVED, Stored(LATER), Took(1, LATER), Leads(1, 5)),
    "a crash that loses what was not synced": (*SERVED, Crashed(2), Restarted(2, (NOOP,))),
    "the same Ask again": (*SERVED, Asked(2, DROP), Asked(2, DROP)),
    "a read": (*SERVED, ReadCame(2, 1), ReadShown(2, 1, 1)),
}  # fmt: skip

BAD = {
    "told before it is stored": (*SERVED, Told(0, WITHOUT_1)),
    "took what was never stored": (*SERVED, Took(0, NEXT)),
    "took a lower view": (*DROPPED, Took(0, WITHOUT_1), Took(0, FIRST)),
    "stored without a rule": (*SERVED, Stored(WITHOUT_1)),
    "stored a version twice": (*DROPPED, Stored(NEXT)),
    "stored for an Ask that was overtaken": (*SERVED, Asked(2, DROP), Stored(NEXT), Stored(WITHOUT_1._replace(version=3))),
    "appointed out of the set": (*DROPPED, Stored(NEXT._replace(version=3, leader=1, in_sync=((1, 0),)))),
    "founded before all have answered": (Promised(0, 0), Answered(0), Stored(FIRST)),
    "answered without a promise": (Answered(0),),
    "leads an epoch of another": (*FOUNDED, Took(0, FIRST), Leads(0, 1)),
    "leads before the view is on its disk": (*FOUNDED, Leads(2, 1)),
    "leads on after a restart": (*SERVED, Crashed(2), Restarted(2, (NOOP,)), Leads(2, 1)),
    "leads by a view that means its old disk": (
        *LED, Crashed(2), Restarted(2, (), wiped=True), Told(2, FIRST), Took(2, FIRST), Leads(2, 1),
    ),
    "a command before the no-op": (*FOUNDED, Took(2, FIRST), Leads(2, 1), Proposed(2, BUY)),
    "an entry of another epoch": (*SERVED, Proposed(2, Entry(2, 2))),
    "took what was not sent": (*SERVED, Appended(0, 1, 3)),
    "took an Append of a passed epoch": (*REPLACED, Appended(0, 2, 2), Appended(0, 1, 2)),
    "acknowledged what it has not": (*SERVED, Acknowledged(0, 1, 2)),
    "committed without an acknowledgement": (*SERVED, Appended(0, 1, 2), Acknowledged(0, 1, 2), Committed(2, 2)),
    "committed what it does not have": (*SERVED, Committed(2, 3)),
    "committed without a member whose view it has not": (
        *DROPPED, Appended(0, 1, 2), Acknowledged(0, 1, 2), Committed(2, 2),
    ),
    "committed an entry of an older epoch": (
        *LED, Stored(NEXT), Appended(1, 1, 1), Took(1, NEXT), Leads(1, 2), Proposed(1, Entry(2, 0)),
        *(event for who in (0, 2) for event in (Appended(who, 2, 1), Acknowledged(who, 2, 1))), Committed(1, 1),
    ),
    "committed without the one that it asked to join": (
        *ALONE, Took(2, WITHOUT_1._replace(in_sync=((2, 0),))), Committed(2, 2), Appended(0, 1, 2), Acknowledged(0, 1, 2),
        Asked(2, Ask(2, 1, 2, 2, ((0, 0), (2, 0)))), Proposed(2, Entry(1, 2)), Committed(2, 3),
    ),
    "asked for one who lacks something": (
        *ALONE, Took(2, WITHOUT_1._replace(in_sync=((2, 0),))), Committed(2, 2), Asked(2, Ask(2, 1, 2, 2, ((0, 0), (2, 0)))),
    ),
    "asked twice at a time": (*SERVED, Asked(2, DROP), Asked(2, Ask(1, 1, 2, 2, ((1, 0), (2, 0))))),
    "asked at a version that it does not have": (*SERVED, Asked(2, DROP._replace(version=2))),
    "handed over to one who lacks something": (*SERVED, Asked(2, Ask(1, 1, 2, 1, ALL))),
    "applied what is not committed": (*SERVED, Applied(2, 2)),
    "showed a stale read": (*SERVED, ReadCame(2, 1), ReadShown(2, 1, 0)),
    "acted while it was down": (*SERVED, Crashed(0), Appended(0, 1, 2)),
    "its disk lost an entry that was synced": (*SERVED, Crashed(2), Restarted(2, ())),
    "its disk has what it never took": (*SERVED, Crashed(0), Restarted(0, (NOOP, BUY))),
    "wrote another entry than it took": (*SERVED, Appended(0, 1, 2), Saved(0, 1, (NOOP, Entry(1, 7)))),
    "took a view of a register after its promise to the next": (
        *SERVED, Stored(NEXT), RegisterLost(), Promised(1, 1), Told(1, NEXT), Took(1, NEXT),
    ),
    "took over before all have promised": (
        *SERVED, RegisterLost(), Promised(1, 1), Answered(1), Stored(View(1, 0, 2, 2, 1, ALL)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_the_rules_allow_is_taken(name: str) -> None:
    trace = Trace(3)
    for event in GOOD[name]:
        trace.note(event)


@pytest.mark.parametrize("name", BAD)
def test_what_no_rule_allows_is_rejected(name: str) -> None:
    trace = Trace(3)
    *before, last = BAD[name]
    for event in before:
        trace.note(event)
    with pytest.raises(Rejected, match=f"event {len(before) + 1}, {type(last).__name__}"):
        trace.note(last)
