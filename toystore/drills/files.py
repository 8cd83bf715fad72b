"""The files that order replicas keep, read back and compared with what customers were told.

The readers know the formats from the outside, as the older systems' own tests did: they share nothing with
`toystore.projections`, which writes them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest

from attrs import evolve, frozen

from toystore.drills.nodes import listed
from toystore.drills.scene import Order, Scene, Seen, Shop


class Unreadable(ValueError):
    """A file is not what its format says."""


Reader = Callable[[str, Sequence[str]], Iterator[Order]]
"""The orders in the text of a file, numbered from 0; the products by number are for files that name none."""


def _toys(text: str, products: Sequence[str]) -> Iterator[Order]:
    for number, name, quantity in csv.reader(io.StringIO(text, newline="")):
        yield Order(int(number), name, int(quantity))


def _trader(text: str, products: Sequence[str]) -> Iterator[Order]:
    for row in csv.DictReader(io.StringIO(text, newline="")):
        number, side = int(row["transaction_number"]) - 1, row["ordertype"].lower()
        yield Order(number, row["stockname"], int(row["quantity"]), side)


def _bazaar(text: str, products: Sequence[str]) -> Iterator[Order]:
    for number, row in json.loads(text).items():
        yield Order(int(number), row["name"], int(row["quantity"]), row["type"])


def _books(text: str, products: Sequence[str]) -> Iterator[Order]:
    """The orders in the write log; it has no numbers for them."""
    rows = [row for row in csv.DictReader(io.StringIO(text, newline="")) if row["query"] in ("buy", "sell")]
    for number, row in enumerate(rows):
        yield Order(number, products[int(row["item_number"]) - 1], int(row["value"]), row["query"])


READERS: Mapping[str, Reader] = {
    "toys-orders": _toys,
    "trader-orders": _trader,
    "bazaar-orders": _bazaar,
    "books-changes": _books,
}


def read_orders(shop: Shop, data: bytes | None) -> list[Order]:
    """The orders of a file, in their order there, numbered from 0; none where there is no file. Raises Unreadable."""
    if data is None:
        return []
    try:
        return list(READERS[shop.format](data.decode(), shop.products))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Unreadable(f"not as {shop.format} should be: {error!r}") from error


Last = int | None
"""The number of the last order that a file holds, as customers count; None: it holds none."""


@frozen
class Files:
    """Compare the files of the order replicas, each by its id: it holds all acknowledged orders up to one, and no
    other. Those that hold the same are compared byte for byte."""

    title: str
    hold: Mapping[int, Last]

    @property
    def expected(self) -> str:
        return "; ".join(_in_words(ids, last) for last, ids in _groups(self.hold))

    async def play(self, scene: Scene) -> Seen:
        return await compared(scene, self.hold)


async def compared(scene: Scene, hold: Mapping[int, Last]) -> Seen:
    """Whether the files hold this, now or soon."""

    async def look() -> Seen:
        seen = [_group(scene, ids, last) for last, ids in _groups(hold)]
        return Seen("; ".join(group.text for group in seen), all(group.holds for group in seen))

    return await scene.until(look)


def _groups(hold: Mapping[int, Last]) -> list[tuple[Last, list[int]]]:
    """The replicas whose files should hold the same, by what that is."""
    groups: dict[Last, list[int]] = {}
    for id_, last in hold.items():
        groups.setdefault(last, []).append(id_)
    return list(groups.items())


def _group(scene: Scene, ids: Sequence[int], last: Last) -> Seen:
    """The files that should hold the same."""
    files = {id_: scene.stage.file(id_) for id_ in ids}
    faults = [f"{_named([id_])}: {fault}" for id_, data in files.items() if (fault := _fault(scene, data, last))]
    if faults:
        return Seen("; ".join(faults), False)
    prints = {id_: hashlib.sha256(data or b"").hexdigest()[:12] for id_, data in files.items()}
    if last is None:
        kinds = ", ".join("absent" if data is None else f"`{data.decode()}`" for data in files.values())
        return Seen(f"{_named(ids)}: {kinds}", True)
    if len(set(files.values())) > 1:
        told = ", ".join(f"{id_} sha256 {print_}" for id_, print_ in prints.items())
        return Seen(f"{_named(ids)}: up to order {last}, but other bytes: {told}", False)
    return Seen(f"{_in_words(ids, last)}, sha256 {prints[ids[0]]}", True)


def _in_words(ids: Sequence[int], last: Last) -> str:
    if last is None:
        return f"{_named(ids)}: no order, or no file"
    return f"{_named(ids)}: up to order {last}" + (", the same bytes" if len(ids) > 1 else "")


def _fault(scene: Scene, data: bytes | None, last: Last) -> str | None:
    """What is wrong with a file that should hold the orders up to this one, None where nothing is."""
    first = scene.shop.first
    try:
        found = [evolve(order, number=order.number + first) for order in read_orders(scene.shop, data)]
    except Unreadable as error:
        return str(error)
    wanted = [order for order in scene.in_order() if last is not None and order.number <= last]
    for there, order in zip_longest(found, wanted):
        if there is None:
            return f"order {order.number} is missing"
        if order is None:
            return f"order {there.number} is there too"
        if there != order:
            return f"order {order.number} is {order}; in the file {there.number} is {there}"
    return None


def _named(ids: Sequence[int]) -> str:
    return ("file " if len(ids) == 1 else "files ") + listed([str(id_) for id_ in ids])
