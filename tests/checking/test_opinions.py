"""Two opinions on the same random histories: the witness of the log, in one sweep, and the search, which tries.

A history is invented, right by construction; then some of it is bent: an operation is moved in time, a read shows what was
at another time, or what never was. Whether that is still linearizable nobody says beforehand; the two must agree. To repeat
a seed: `pytest tests/checking/test_opinions.py --opinion-seed N`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import pytest
from attrs import evolve

from benchmarks.invented import CATALOG, invent
from toystore.checking.events import Event
from toystore.checking.final import Final
from toystore.checking.linearizability import Call, stuck_at
from toystore.checking.operations import NEVER, Operation, Recording, recording
from toystore.checking.orders import bodies, check_orders
from toystore.checking.realtime import check_real_time
from toystore.checking.report import check
from toystore.checking.second_opinion import Stretch, check_windows, stretches
from toystore.checking.staleness import check_staleness
from toystore.checking.stock import check_shown
from toystore.checking.store_model import Action, Cancel, Place, SeeOrder, SeeReplay, SeeStock, step
from toystore.checking.timeline import shelves

STOCK = 8
O = TypeVar("O", bound=Operation)  # noqa: E741


class Run:
    """One invented history and its ledger."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"opinions {seed}")
        self.events: list[Event] = []
        count = self.random.randint(5, 60)
        self.final = invent(
            self.random, count, self._write, clients=self.random.choice((2, 4, 8)), products=2, stock=STOCK,
            unknown=self.random.choice((0.0, 0.05, 0.15)), most=4,
        )  # fmt: skip
        self.final = evolve(self.final, changes=None, initial={"P0": STOCK, "P1": STOCK})
        self.recording = recording(self.events)
        self.writes = sorted({index for order in self.final.orders for index in (order.index, order.changed)})

    def _write(self, time: int, process: int, type_: str, f: str, value: Any, *, front: str, error: str = "") -> None:
        self.events.append(Event(len(self.events), time, process, type_, f, dict(value), front, 0, error))

    def comparable(self) -> Recording:
        """Without what the search can not tell: cached reads, and entries of the log that changed nothing, by which an index
        may be too old though all that it stands for is there."""
        known, orders = self.recording, self.final.orders
        return evolve(
            known,
            placings=[placing for placing in known.placings if not placing.replayed],
            cancellings=[c for c in known.cancellings if c.outcome != "ok" or orders[c.number].changed == c.index],
            order_reads=[evolve(read, index=self.last_write(read.index)) for read in known.order_reads],
            stock_reads=[evolve(read, index=self.last_write(read.index)) for read in known.stock_reads],
            product_reads=[],
        )

    def last_write(self, index: int) -> int:
        place = bisect_right(self.writes, index) - 1
        return self.writes[place] if place >= 0 else CATALOG

    # Bending

    def bent(self, known: Recording) -> Recording:
        for _ in range(self.random.randint(0, 3)):
            bend = self.random.choice((self._moved, self._moved, self._seen_then, self._miscounted, self._misread))
            known = bend(known)
        return known

    def _one_of(self, operations: list[O], change: Callable[[O], O]) -> list[O]:
        if not operations:
            return operations
        place = self.random.randrange(len(operations))
        return [change(one) if at == place else one for at, one in enumerate(operations)]

    def _moved(self, known: Recording) -> Recording:
        delay = self.random.randint(-4_000_000, 4_000_000)

        def move(one: O) -> O:
            begin = max(0, one.invoked + delay)
            return evolve(one, invoked=begin, ended=NEVER if one.ended == NEVER else begin + one.ended - one.invoked)

        kind = self.random.choice(("placings", "placings", "cancellings", "order_reads", "stock_reads"))
        moved = self._one_of(getattr(known, kind), move)
        return evolve(known, **{kind: sorted(moved, key=lambda one: one.invoked)})

    def _seen_then(self, known: Recording) -> Recording:
        """A read is of another time, and right as of then."""
        over_time = shelves(self.final)
        assert over_time is not None
        index = self.random.choice(self.writes) if self.writes else CATALOG

        def look(read: Any) -> Any:
            version, quantity = over_time[read.name].at(index) or (0, STOCK)
            return evolve(read, index=index, version=max(version, 0), quantity=quantity)

        return evolve(known, stock_reads=self._one_of(known.stock_reads, look))

    def _miscounted(self, known: Recording) -> Recording:
        return evolve(known, stock_reads=self._one_of(known.stock_reads, lambda r: evolve(r, quantity=r.quantity + 1)))

    def _misread(self, known: Recording) -> Recording:
        def flip(read: Any) -> Any:
            status = {"placed": "cancelled", "cancelled": "placed"}.get(read.status, read.status)
            return evolve(read, status=status)

        return evolve(known, order_reads=self._one_of(known.order_reads, flip))

    # Opinions

    def by_witness(self, known: Recording) -> list[str]:
        by_index, orders = shelves(self.final), self.final.orders
        checks = [
            *check_orders(known, orders),
            check_shown(known, by_index),
            *check_real_time(known, orders, by_index, cached=False),
        ]
        return [str(anomaly) for found in checks for anomaly in found.anomalies]

    def stretch(self, known: Recording) -> Stretch:
        over_time = shelves(self.final)
        assert over_time is not None
        (stretch,) = stretches(known, self.final, over_time, 1)
        return stretch


def unseen(call: Call[Action]) -> Call[Action]:
    """Without what only the log has told: where it stands, and of what nobody was answered, its number."""
    match call.action:
        case Place(units, number):
            action: Action = Place(units, None if call.ended == NEVER else number)
        case Cancel(number, units):
            action = Cancel(number, units)
        case SeeOrder(number, cancelled):
            action = SeeOrder(number, cancelled)
        case SeeStock(product, quantity):
            action = SeeStock(product, quantity)
        case SeeReplay(number):
            action = SeeReplay(number)
        case other:
            action = other
    return evolve(call, action=action)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--opinion-seed")
        metafunc.parametrize("seed", range(40) if chosen is None else [chosen])


def agree(seed: int) -> set[str]:
    """Both opinions on one history, bent, are the same. The promises that are broken: none if it is linearizable."""
    run = Run(seed)
    known = run.bent(run.comparable())
    wrong, stretch = run.by_witness(known), run.stretch(known)
    calls, store = stretch.calls(), stretch.store()
    stuck = stuck_at(calls, store, step)
    repeat = f"seed {seed}; to repeat: pytest tests/checking/test_opinions.py --opinion-seed {seed}"
    assert bool(wrong) == (stuck is not None), f"the witness says {wrong or 'yes'}, the search {stuck or 'yes'}; {repeat}"
    if stuck is None:
        seen = stuck_at(list(map(unseen, calls)), store, step)
        assert seen is None, f"linearizable by the log, and not by what clients saw: {seen}; {repeat}"
    return {text.split(":")[0] for text in wrong}


def test_the_witness_and_the_search_agree(seed: int) -> None:
    agree(seed)


def test_an_invented_history_is_right(seed: int) -> None:
    run = Run(seed)
    report = check(run.recording, run.final)
    assert report.good, report.text()


def test_any_stretch_of_a_right_history_is_right(seed: int) -> None:
    run = Run(seed)
    for length in (2, 5, 9):
        found = check_windows(run.recording, run.final, shelves(run.final), 20, length)
        assert not found.count, f"seed {seed}, in stretches of {length}: {found.anomalies[0]}"


def naive_staleness(known: Recording, final: Final, bound: int) -> tuple[int, int]:
    """How many cached reads are too old for their front end, and for any: each held against each order."""
    numbers = {order.key: order for order in final.orders}
    news = [
        (placing, numbers[placing.key].index, bodies(numbers[placing.key]))
        for placing in known.placings
        if placing.outcome == "ok"
    ]
    news += [
        (c, final.orders[c.number].changed, bodies(final.orders[c.number])) for c in known.cancellings if c.outcome == "ok"
    ]
    own = general = 0
    for read in known.product_reads:
        mine = others = False
        for told, index, lines in news:
            newer = index > read.index and read.name in dict(lines)
            ended = any(told.invoked < end <= read.ended for end in known.endings.get(read.front, ()))
            mine |= newer and told.front == read.front and told.ended < read.invoked and not ended
            others |= newer and told.ended < read.invoked - bound
        own, general = own + mine, general + others
    return own, general


def test_staleness_is_what_each_read_against_each_order_gives(seed: int) -> None:
    run = Run(seed)
    random, bound = run.random, run.random.choice((0, 500_000, 2_000_000))
    reads = [
        evolve(read, index=max(CATALOG, read.index - random.choice((0, 0, 1, 3)))) for read in run.recording.product_reads
    ]
    ends = {f"front-{n}": [random.randrange(20_000_000) for _ in range(random.randrange(3))] for n in (1, 2)}
    known = evolve(run.recording, product_reads=reads, endings=ends)
    own, general, marked = check_staleness(known, run.final.orders, bound)
    assert (own.count, general.count, marked.checked) == (*naive_staleness(known, run.final, bound), 0)


def test_both_kinds_of_history_are_among_them() -> None:
    broken = [agree(seed) for seed in range(300)]
    reasons = Counter(reason for reasons in broken for reason in reasons)
    assert len(reasons) == 5, reasons
    assert 100 < broken.count(set()) < 250


@pytest.mark.long
def test_the_witness_and_the_search_agree_often() -> None:
    for seed in range(5_000):
        agree(seed)


@pytest.mark.long
def test_any_stretch_of_a_right_history_is_right_often() -> None:
    for seed in range(1_000):
        test_any_stretch_of_a_right_history_is_right(seed)
