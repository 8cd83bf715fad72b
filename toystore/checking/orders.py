"""Orders: what clients were told of theirs, held against those that the ledger has. Pure.

A key may be sent more than once. An order stands for a key if one attempt with its body was answered `ok`, or if of one
nobody knows what came of it; that another attempt failed then says nothing, for a refusal does not use up a key and may be
overtaken by an attempt still on its way. Where all attempts failed, there is no order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toystore.checking.events import FAIL, OK
from toystore.checking.findings import Check
from toystore.checking.operations import Cancelling, Lines, OrderRead, Placing, Recording
from toystore.model import Order, OrderStatus

KEY_REUSED = "key_reused"


def check_orders(recording: Recording, orders: Sequence[Order]) -> list[Check]:
    """`orders` are all that the ledger has at the end, by number."""
    by_key: dict[str, Order] = {}
    for order in orders:
        by_key.setdefault(order.key, order)
    attempts: dict[str, list[Placing]] = {}
    for placing in recording.placings:
        attempts.setdefault(placing.key, []).append(placing)
    return [
        _numbered(orders),
        _acknowledged(recording.placings, by_key),
        _only_what_was_sent(orders, attempts),
        _replays(attempts, by_key),
        _cancelled(recording.cancellings, orders),
        _reads(recording.order_reads, orders),
    ]


def bodies(order: Order) -> Lines:
    return tuple([(line.name, line.quantity) for line in order.lines])


def _numbered(orders: Sequence[Order]) -> Check:
    """Numbers are consecutive from 0, keys unique; index and time rise with the number."""
    check = Check("orders are numbered one by one, and have keys of their own", len(orders))
    keys: dict[str, int] = {}
    changes: dict[int, int] = {}
    before: Order | None = None
    for place, order in enumerate(orders):
        if order.number != place:
            check.wrong(f"order {order.number} stands where {place} should")
            break
        if (other := keys.setdefault(order.key, place)) != place:
            check.wrong(f"orders {other} and {place} have the same key {order.key!r}")
        if before is not None and (order.index <= before.index or order.term < before.term or order.at < before.at):
            check.wrong(
                f"order {place} comes after {before.number} by its number and not by its index, term or time: {order}"
            )
        if (order.status is OrderStatus.CANCELLED) != (order.changed > order.index) or order.changed < order.index:
            check.wrong(
                f"order {place} is {order.status.value}, and was placed at {order.index}, changed at {order.changed}"
            )
        for index in {order.index, order.changed}:
            if (other := changes.setdefault(index, place)) != place:
                check.wrong(f"orders {other} and {place} were both changed by the log entry {index}")
        before = order
    return check


def _acknowledged(placings: Sequence[Placing], by_key: Mapping[str, Order]) -> Check:
    check = Check("an acknowledged order is there once, as it was told")
    for placing in placings:
        if placing.outcome == OK:
            check.checked += 1
            order = by_key.get(placing.key)
            if order is None:
                check.wrong(f"{placing} is lost: the ledger has no order with this key")
            elif wrong := _differs(placing, order):
                check.wrong(f"{placing} is not what the ledger has as order {order.number}: {wrong}")
    return check


def _differs(placing: Placing, order: Order) -> str:
    """What was told and is otherwise; "" if nothing is."""
    lines, side, total = bodies(order), order.side.value, order.total
    if placing.number != order.number:
        return _otherwise("number", placing.number, order.number)
    if placing.side != side:
        return _otherwise("side", placing.side, side)
    if placing.lines != lines:
        return _otherwise("lines", placing.lines, lines)
    if placing.total != total:
        return _otherwise("total", placing.total, total)
    if placing.at is not None and placing.at != order.at:
        return _otherwise("at", placing.at, order.at)
    if placing.priced is not None:
        priced = tuple([(line.name, line.quantity, line.unit_price) for line in order.lines])
        if placing.priced != priced:
            return _otherwise("lines", placing.priced, priced)
    if placing.index < order.index:
        return f"it was answered as of index {placing.index}, and placed at {order.index}"
    return ""


def _otherwise(name: str, told: object, is_: object) -> str:
    return f"the {name} was {told}, and is {is_}"


def _only_what_was_sent(orders: Sequence[Order], attempts: Mapping[str, Sequence[Placing]]) -> Check:
    check = Check("there is no order that was refused, or that nobody sent", len(orders))
    for order in orders:
        sent = attempts.get(order.key)
        if sent is None:
            check.wrong(f"order {order.number}, key {order.key!r}: nobody sent it")
            continue
        side, lines = order.side.value, bodies(order)
        same = [placing for placing in sent if placing.side == side and placing.lines == lines]
        if not same:
            check.wrong(f"order {order.number} is to {side} {lines}, and what was sent is {sent[0].lines}: {sent[0]}")
        elif all(placing.outcome == FAIL for placing in same):
            last = same[-1]
            check.wrong(f"order {order.number} is there, and was answered with {last.error or 'a refusal'}: {last}")
    return check


def _replays(attempts: Mapping[str, Sequence[Placing]], by_key: Mapping[str, Order]) -> Check:
    """A key is answered as new once at most, and as a replay only if another attempt may have placed it before."""
    check = Check("a key that is sent again brings the same order, marked as a replay")
    for key, sent in attempts.items():
        if len(sent) > 1 or sent[0].replayed or sent[0].error == KEY_REUSED:
            check.checked += len(sent)
            new = [placing for placing in sent if placing.outcome == OK and not placing.replayed]
            if len(new) > 1:
                check.wrong(f"two attempts were answered as new: {new[0]}, and {new[1]}")
            for placing in sent:
                if placing.replayed and not any(_may_have_placed(other, placing) for other in sent):
                    check.wrong(f"{placing} is marked as a replay, and no attempt before it can have placed it")
                if placing.error == KEY_REUSED and not _taken(placing, by_key.get(key)):
                    check.wrong(f"{placing} was refused because of its key, which stands for no other body")
    return check


def _may_have_placed(other: Placing, replay: Placing) -> bool:
    able = other.outcome != FAIL and not other.replayed
    return able and other is not replay and other.invoked < replay.ended


def _taken(refused: Placing, order: Order | None) -> bool:
    """Does the key stand for an order with another body?"""
    return order is not None and (order.side.value, bodies(order)) != (refused.side, refused.lines)


def _cancelled(cancellings: Sequence[Cancelling], orders: Sequence[Order]) -> Check:
    """Who was told that an order is cancelled finds it so; and only who was asked for is cancelled."""
    check = Check("a cancelled order stays cancelled, and nobody else's is")
    may_be: set[int] = set()
    for cancelling in cancellings:
        if cancelling.outcome != FAIL:
            may_be.add(cancelling.number)
        if cancelling.outcome == OK:
            check.checked += 1
            if cancelling.number >= len(orders):
                check.wrong(f"{cancelling} was acknowledged, and there is no such order")
            elif (order := orders[cancelling.number]).status is not OrderStatus.CANCELLED:
                check.wrong(f"{cancelling} was acknowledged, and the order is {order.status.value}")
            elif order.changed > cancelling.index:
                check.wrong(f"{cancelling} was answered as of {cancelling.index}, and carried out at {order.changed}")
    for order in orders:
        if order.status is OrderStatus.CANCELLED:
            check.checked += 1
            if order.number not in may_be:
                check.wrong(f"order {order.number} is cancelled since {order.changed}, and no cancellation can have done it")
    return check


def _reads(reads: Sequence[OrderRead], orders: Sequence[Order]) -> Check:
    """The order as it was at the index of the answer."""
    check = Check("a read of an order shows it as it was at the index of the answer")
    for read in reads:
        if read.status == "unknown":
            continue  # has no index: see `realtime`
        check.checked += 1
        order = orders[read.number] if read.number < len(orders) else None
        if order is None:
            check.wrong(f"{read} found key {read.key!r}, and there is no such order")
            continue
        cancelled = order.status is OrderStatus.CANCELLED and order.changed <= read.index
        status = OrderStatus.CANCELLED.value if cancelled else OrderStatus.PLACED.value
        there = (status, order.side.value, order.key, bodies(order), order.total)
        seen = (read.status, read.side, read.key, read.lines, read.total)
        if order.index > read.index:
            check.wrong(f"{read} found it as of index {read.index}, and it was placed at {order.index}")
        elif seen != there:
            check.wrong(f"{read} found {seen} as of index {read.index}, and it was {there}")
    return check
