"""Stock: what is left is what there was, less what was bought, plus what was sold; and never less than nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from toystore.checking.final import Final
from toystore.checking.findings import Check
from toystore.checking.operations import Recording
from toystore.checking.timeline import Shelf


def check_stock(final: Final, shelves: Mapping[str, Shelf] | None) -> list[Check]:
    return [_conserved(final, shelves), _never_negative(shelves)]


def _conserved(final: Final, shelves: Mapping[str, Shelf] | None) -> Check:
    check = Check("no unit of stock appears or vanishes")
    if shelves is None:
        return check
    products = {product.name: product for product in final.products}
    for name in sorted({*shelves, *products}):
        check.checked += 1
        shelf, product = shelves.get(name), products.get(name)
        if product is None:
            check.wrong(f"{name!r} was there, and is gone")
        elif shelf is None:
            check.wrong(f"{name!r} is there, and nobody knows where it came from")
        elif product.quantity != shelf.quantities[-1]:
            check.wrong(f"of {name!r} the orders leave {shelf.quantities[-1]}, and there are {product.quantity}")
        elif product.version < shelf.indices[-1]:
            check.wrong(f"{name!r} has the version {product.version}, and was changed at {shelf.indices[-1]}")
    for order in final.orders:
        for line in order.lines:
            if line.name not in shelves:
                check.wrong(f"order {order.number} is for {line.name!r}, which was never there")
    return check


def _never_negative(shelves: Mapping[str, Shelf] | None) -> Check:
    check = Check("stock is never below zero")
    for name, shelf in sorted((shelves or {}).items()):
        check.checked += len(shelf.quantities)
        if min(shelf.quantities) < 0:
            place = next(place for place, left in enumerate(shelf.quantities) if left < 0)
            check.wrong(f"of {name!r} {shelf.quantities[place]} were left after index {shelf.indices[place]}: sold twice")
    return check


def check_shown(recording: Recording, shelves: Mapping[str, Shelf] | None) -> Check:
    """Every answer about a product, from wherever it came, is the product as it was at the index of the answer."""
    check = Check("a product is shown as it was at the index of the answer")
    if shelves is None:
        return check
    for reads in (recording.stock_reads, recording.product_reads):
        check.checked += len(reads)
        for read in reads:
            shelf = shelves.get(read.name)
            was = None if shelf is None else shelf.at(read.index)
            if was is None:
                check.wrong(f"{read} found it as of index {read.index}, when there was none")
            elif read.quantity != was[1] or not was[0] <= read.version <= read.index:
                check.wrong(
                    f"{read} found {read.quantity} of version {read.version} as of index {read.index};"
                    f" there were {was[1]} since index {was[0]}"
                )
    return check
