"""How old a cached read may be (design 1.3). Pure; one sweep by time, O(n log n).

- Once an order was acknowledged through a front end, no reader of the same front end sees its products as they were before,
  unless the answer is marked with an age.
- Through whatever front end: what was acknowledged to anyone is seen `bound` nanoseconds later; where the answer is marked
  with an age, that much later still. An unknown age promises nothing.

A front end that ends forgets what it had heard of (its `endings`): only orders that were begun and acknowledged within one
life of it bind the reads of that life.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from toystore.checking.events import OK
from toystore.checking.findings import Check
from toystore.checking.operations import Operation, ProductRead, Recording
from toystore.model import Order

BOUND = 4_000_000_000
"""Nanoseconds: the 3 s of the promise, and one for the push of the change and the load of the machine that is watched."""


News = tuple[int, str, int, Operation]
"""What an acknowledged order or cancellation says: when it was told, of which product, at which index that had changed, and
the operation."""


def check_staleness(recording: Recording, orders: Sequence[Order], bound: int = BOUND) -> list[Check]:
    """Raises nothing; `bound` in nanoseconds."""
    news = sorted(_news(recording, orders), key=itemgetter(0))
    return [
        _own_front_end(recording.product_reads, news, recording.endings),
        _any_front_end(recording.product_reads, news, bound, marked=False),
        _any_front_end(recording.product_reads, news, bound, marked=True),
    ]


def _news(recording: Recording, orders: Sequence[Order]) -> Iterator[News]:
    by_key = {order.key: order for order in orders}
    for placing in recording.placings:
        order = by_key.get(placing.key)
        if placing.outcome == OK and order is not None:
            for line in order.lines:
                yield placing.ended, line.name, order.index, placing
    for cancelling in recording.cancellings:
        if cancelling.outcome == OK and cancelling.number < len(orders):
            order = orders[cancelling.number]
            for line in order.lines:
                yield cancelling.ended, line.name, order.changed, cancelling


def _own_front_end(reads: Sequence[ProductRead], news: Sequence[News], endings: Mapping[str, Sequence[int]]) -> Check:
    check = Check("after an acknowledged order the same front end shows its products no older")
    floors: dict[tuple[str, int, str], News] = {}
    lives = {front: sorted(times) for front, times in endings.items()}
    at = 0
    for read in reads:
        while at < len(news) and news[at][0] < read.invoked:
            ended, name, index, told = news[at]
            life = _life(lives, told.front, told.invoked)
            if life == _life(lives, told.front, ended):
                place = (told.front, life, name)
                if place not in floors or floors[place][2] < index:
                    floors[place] = news[at]
            at += 1
        if not read.marked:
            check.checked += 1
            floor = floors.get((read.front, _life(lives, read.front, read.ended), read.name))
            if floor is not None and read.index < floor[2]:
                check.wrong(_older(read, floor))
    return check


def _life(lives: Mapping[str, Sequence[int]], front: str, time: int) -> int:
    """How often the front end had ended by then."""
    times = lives.get(front)
    return bisect_right(times, time) if times else 0


def _any_front_end(reads: Sequence[ProductRead], news: Sequence[News], bound: int, marked: bool) -> Check:
    if marked:
        check = Check(f"a cached read is at most {bound / 1e9:g} s older than the age it is marked with")
    else:
        check = Check(f"a cached read that is not marked is at most {bound / 1e9:g} s old")
    due = [
        (read.invoked - bound - int((read.age or 0.0) * 1e9), read)
        for read in reads
        if read.marked is marked and not (marked and read.age is None)
    ]
    due.sort(key=lambda item: item[0])
    floors: dict[str, News] = {}
    at = 0
    for deadline, read in due:
        while at < len(news) and news[at][0] < deadline:
            name, index = news[at][1:3]
            if name not in floors or floors[name][2] < index:
                floors[name] = news[at]
            at += 1
        check.checked += 1
        floor = floors.get(read.name)
        if floor is not None and read.index < floor[2]:
            check.wrong(_older(read, floor))
    return check


def _older(read: ProductRead, news: News) -> str:
    ended, name, index, told = news
    seconds = (read.invoked - ended) / 1e9
    return (
        f"{read} is as of index {read.index}; {name!r} had changed at {index}, which had been acknowledged"
        f" {seconds:.3f} s before it was sent: {told}"
    )
