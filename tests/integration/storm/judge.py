"""What must be true of the ledger after a storm, given what the customers were told. Pure: rows in, faults out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from tests.integration.storm.customers import Lines, Record

Row = Mapping[str, Any]
"""A line of `toystore export`."""

TOLD = 5
"""Faults of one kind that are told one by one."""


@frozen
class Ledger:
    """What the store holds: its rows, and the stock it began with."""

    orders: Sequence[Row]
    products: Sequence[Row]
    stock: Mapping[str, int]


@frozen
class Verdict:
    """Sentences on what is wrong, and what was counted on the way: orders that nobody heard an answer for,
    which may or may not be there."""

    faults: list[str] = field(factory=list)
    unheard: int = 0

    @property
    def good(self) -> bool:
        return not self.faults


def judge(records: Sequence[Record], ledger: Ledger) -> Verdict:
    """Every acknowledged order is there once and as it was told, nothing refused and nothing unasked is,
    numbers have no gap, and the stock is what is left."""
    by_key: dict[str, list[Row]] = {}
    for order in ledger.orders:
        by_key.setdefault(order["key"], []).append(order)
    unheard = sum(1 for record in records if not record.status or record.status == 504)
    kinds = (
        ("lost", _lost(records, by_key)),
        ("changed", _changed(records, by_key)),
        ("twice", (f"key {key} has {len(rows)} orders" for key, rows in by_key.items() if len(rows) > 1)),
        ("carried out though refused", _carried_out(records, by_key)),
        ("never asked for", _unasked(records, by_key)),
        ("numbers", _misnumbered(ledger.orders)),
        ("stock", _stock(ledger)),
    )
    faults: list[str] = []
    for kind, found in kinds:
        sentences = list(found)
        faults += [f"{kind}: {sentence}" for sentence in sentences[:TOLD]]
        if len(sentences) > TOLD:
            faults.append(f"{kind}: {len(sentences)} in all")
    return Verdict(faults, unheard)


def _lost(records: Sequence[Record], by_key: Mapping[str, list[Row]]) -> Iterator[str]:
    for record in records:
        if record.acknowledged and record.wish.key not in by_key:
            yield f"{record.wish.key} was acknowledged as order {_told(record)['number']}, and is not there"


def _changed(records: Sequence[Record], by_key: Mapping[str, list[Row]]) -> Iterator[str]:
    for record in records:
        if not record.acknowledged:
            continue
        told = _told(record)
        for row in by_key.get(record.wish.key, ()):
            was = {part: told[part] for part in ("number", "side", "lines", "at")}
            now = {part: row[part] for part in was}
            if json.dumps(was, sort_keys=True) != json.dumps(now, sort_keys=True):
                yield f"{record.wish.key} was {was}, is {now}"
            elif _lines(row) != record.wish.lines:
                yield f"{record.wish.key} asked for {record.wish.lines}, is {now}"


def _carried_out(records: Sequence[Record], by_key: Mapping[str, list[Row]]) -> Iterator[str]:
    for record in records:
        for row in by_key.get(record.wish.key, ()) if record.refused else ():
            yield f"{record.wish.key} was answered {record.status}, and is order {row['number']}"


def _unasked(records: Sequence[Record], by_key: Mapping[str, list[Row]]) -> Iterator[str]:
    wishes = {record.wish.key: record.wish for record in records}
    for key, rows in by_key.items():
        if key not in wishes:
            yield f"key {key}, order {rows[0]['number']}"
        elif any(_lines(row) != wishes[key].lines for row in rows):
            yield f"{key} asked for {wishes[key].lines}, is {_lines(rows[0])}"


def _misnumbered(orders: Sequence[Row]) -> Iterator[str]:
    for number, times in Counter(order["number"] for order in orders).items():
        if times > 1:
            yield f"{number} is given {times} times"
    for expected, order in enumerate(sorted(orders, key=lambda order: int(order["number"]))):
        if order["number"] != expected:
            yield f"{order['number']} stands where {expected} should"
            return


def _stock(ledger: Ledger) -> Iterator[str]:
    sold: Counter[str] = Counter()
    for order in ledger.orders:
        if order["status"] == "placed":
            for line in order["lines"]:
                sold[line["name"]] += line["quantity"] if order["side"] == "buy" else -line["quantity"]
    for product in ledger.products:
        name, began = product["name"], ledger.stock[product["name"]]
        if product["quantity"] != began - sold[name] or product["quantity"] < 0:
            yield f"{name} had {began}, sold {sold[name]}, and has {product['quantity']}"
        if product["volume"] != sold[name]:
            yield f"{name} sold {sold[name]}, and says {product['volume']}"


def _lines(row: Row) -> Lines:
    return tuple((line["name"], line["quantity"]) for line in row["lines"])


def _told(record: Record) -> dict[str, Any]:
    assert record.order is not None, "an acknowledgement has an order"
    return record.order
