"""The model: frozen values, and positions that compare as the history does."""

from __future__ import annotations

import inspect

import attrs
import pytest

from toystore import model
from toystore.model import ORIGIN, Order, OrderLine, OrderStatus, Position, Refusal, Side

CLASSES = [cls for _, cls in inspect.getmembers(model, inspect.isclass) if attrs.has(cls)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_value_is_frozen_and_hashable_and_small(cls: type) -> None:
    fields = attrs.fields(cls)
    assert fields
    value = cls(*[None] * len(fields))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, fields[0].name, 1)
    assert hash(value) == hash(cls(*[None] * len(fields)))
    assert not hasattr(value, "__dict__")


def test_positions_compare_by_generation_then_index() -> None:
    shuffled = [Position(1, 3), Position(0, 7), ORIGIN, Position(1, 0), Position(0, 1)]
    assert sorted(shuffled) == [ORIGIN, Position(0, 1), Position(0, 7), Position(1, 0), Position(1, 3)]


def test_the_total_of_an_order_is_exact() -> None:
    lines = (OrderLine("Fox", 3, 1299), OrderLine("Tux", 2**30, 2**22 - 1))
    order = Order(0, Side.BUY, lines, OrderStatus.PLACED, 0, 1, 1, 1, "k")
    assert order.total == 3 * 1299 + 2**52 - 2**30


@pytest.mark.row("O9")
def test_the_refusals_are_those_that_others_rely_on() -> None:
    assert {refusal.value for refusal in Refusal} == {
        *("unknown_product", "bad_side", "bad_quantity", "insufficient_stock", "limit"),
        *("key_reused", "version_mismatch", "unknown_order", "malformed"),
    }
