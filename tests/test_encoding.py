"""The encoding: every value comes back, one value has one byte sequence, and every fault is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toystore.encoding import (
    EncodingError,
    decode_entry,
    decode_outcome,
    decode_request,
    encode_entry,
    encode_outcome,
    encode_request,
    encode_rows,
    from_json,
    kind_of,
    to_json,
)
from toystore.model import (
    BOUND,
    AdjustStock,
    CancelOrder,
    CatalogChange,
    CatalogRow,
    Command,
    Done,
    Line,
    LoadCatalog,
    Order,
    OrderLine,
    OrderStatus,
    Outcome,
    PlaceOrder,
    Product,
    PutProduct,
    Refusal,
    Refused,
    Request,
    RestockEmpty,
    SetPrice,
    Side,
)

# Whatever a client may send reaches the ledger, so integers are not bounded here; a lone surrogate is no text.
WHOLE = st.integers(0, BOUND) | st.integers()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


COMMANDS: dict[str, st.SearchStrategy[Command]] = {
    "load_catalog": st.builds(LoadCatalog, some(st.builds(CatalogRow, TEXT, WHOLE, WHOLE, st.none() | WHOLE, TEXT, WHOLE))),
    "put_product": st.builds(PutProduct, TEXT, st.none() | WHOLE, st.none() | TEXT, st.none() | WHOLE, st.none() | WHOLE),
    "set_price": st.builds(SetPrice, TEXT, WHOLE),
    "adjust_stock": st.builds(AdjustStock, TEXT, WHOLE, st.booleans()),
    "restock_empty": st.builds(RestockEmpty, WHOLE, WHOLE),
    "place_order": st.builds(PlaceOrder, TEXT, some(st.builds(Line, TEXT, WHOLE)), TEXT),
    "cancel_order": st.builds(CancelOrder, WHOLE),
}
REQUESTS = st.builds(Request, TEXT, st.one_of(*COMMANDS.values()))
PRODUCTS = st.builds(Product, TEXT, WHOLE, WHOLE, WHOLE, TEXT, WHOLE, WHOLE)
ORDERS = st.builds(
    Order,
    WHOLE,
    st.sampled_from(Side),
    some(st.builds(OrderLine, TEXT, WHOLE, WHOLE)),
    st.sampled_from(OrderStatus),
    *[WHOLE] * 4,
    TEXT,
)
CHANGES = st.builds(CatalogChange, WHOLE, WHOLE, WHOLE, TEXT, TEXT, WHOLE, TEXT, TEXT, st.none() | st.integers())
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Done, WHOLE, st.none() | ORDERS, some(PRODUCTS), st.booleans()),
    st.builds(Refused, st.sampled_from(Refusal), TEXT),
)


@given(REQUESTS)
def test_a_request_comes_back(request: Request) -> None:
    data = encode_request(request)
    assert decode_request(data) == request
    assert encode_request(decode_request(data)) == data


@given(WHOLE, REQUESTS)
def test_a_log_entry_comes_back(at: int, request: Request) -> None:
    data = encode_entry(at, request)
    assert decode_entry(data) == (at, request)
    assert encode_entry(*decode_entry(data)) == data


@given(OUTCOMES)
def test_an_outcome_comes_back(outcome: Outcome) -> None:
    data = encode_outcome(outcome)
    assert decode_outcome(data) == outcome
    assert encode_outcome(decode_outcome(data)) == data


@pytest.mark.fault(3)
@given(PRODUCTS | ORDERS | CHANGES)
def test_a_row_comes_back_with_its_numbers_as_numbers(row: Product | Order | CatalogChange) -> None:
    (line,) = encode_rows((row,))
    assert line == to_json(row)
    assert from_json(line, type(row)) == row
    assert b"\n" not in line


@given(OUTCOMES | REQUESTS)
def test_any_json_reader_can_read_it(value: Outcome | Request) -> None:
    assert json.loads(to_json(value)) is not None


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_has_a_name_in_the_log(kind: str) -> None:
    @given(COMMANDS[kind])
    def named(command: Command) -> None:
        assert kind_of(command) == kind
        assert json.loads(encode_request(Request("r", command)))[1] == kind

    named()


@pytest.mark.row("C4")
def test_a_catalog_in_an_older_log_begins_without_volume() -> None:
    row = '{"name":"Fox","number":null,"price":1299,"quantity":100,"topic":""}'
    _, request = decode_entry(f'[7,"r","load_catalog",{{"rows":[{row}]}}]'.encode())
    assert request.command == LoadCatalog((CatalogRow("Fox", 1299, 100),))


def test_the_bytes_of_the_log_stay_as_they_are() -> None:
    """Logs and digests that exist were written with these bytes: another encoding could not read or verify them."""
    place = PlaceOrder("buy", (Line("Café", 2),), "k")
    assert encode_entry(7, Request("r", place)) == (
        '[7,"r","place_order",{"key":"k","lines":[{"name":"Café","quantity":2}],"side":"buy"}]'.encode()
    )
    order = Order(0, Side.BUY, (OrderLine("Fox", 2, 1299),), OrderStatus.PLACED, 7, 3, 1, 3, "k")
    assert encode_outcome(Done(3, order)) == (
        b'["done",{"index":3,"order":{"at":7,"changed":3,"index":3,"key":"k",'
        b'"lines":[{"name":"Fox","quantity":2,"unit_price":1299}],"number":0,"side":"buy","status":"placed","term":1},'
        b'"products":[],"replayed":false}]'
    )
    assert encode_outcome(Refused(Refusal.LIMIT, "no")) == b'["refused",["limit","no"]]'


FAULTS = {
    "": "Input data was truncated",
    "[": "Input data was truncated",
    "\xff": "invalid character",
    "{}": "Expected `array`, got `object`",
    '["r","place_order"]': "Expected `array` of length 3",
    '[1,"place_order",{}]': "Expected `str`, got `int` - at `$[0]`",
    '["r","sell_all",{}]': "unknown command 'sell_all'; known are load_catalog, put_product, set_price, adjust_stock,",
    '["r","place_order",[]]': "Expected `object`, got `array`",
    '["r","cancel_order",{}]': "missing required field `number`",
    '["r","cancel_order",{"number":"1"}]': "Expected `int`, got `str` - at `$.number`",
    '["r","cancel_order",{"number":true}]': "Expected `int`, got `bool` - at `$.number`",
    '["r","cancel_order",{"number":1.5}]': "Expected `int`, got `float` - at `$.number`",
    '["r","place_order",{"side":"buy","lines":[{"name":"Fox","quantity":null}],"key":"k"}]': (
        "Expected `int`, got `null` - at `$.lines[0].quantity`"
    ),
    '["r","place_order",{"side":"buy","lines":[],"key":"\\ud800"}]': "",
    "[" * 5000: "",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_named(text: str) -> None:
    data = text.encode("latin-1")
    with pytest.raises(EncodingError) as caught:
        decode_request(data)
    assert FAULTS[text] in str(caught.value)
    if text.startswith('["'):
        with pytest.raises(EncodingError):
            decode_entry(b"[1," + data[1:])


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'["done",{}]', b'["refused",["no_such","x"]]', b'["refused","limit"]', b'["perhaps",{}]'],
)
def test_what_is_no_outcome(data: bytes) -> None:
    with pytest.raises(EncodingError, match="outcome"):
        decode_outcome(data)


@pytest.mark.fault(10)
@pytest.mark.parametrize("decode", [decode_request, decode_entry, decode_outcome, lambda d: from_json(d, Order)])
def test_no_bytes_do_anything_but_fail(decode: Callable[[bytes], Any]) -> None:
    @given(st.binary(max_size=40) | st.recursive(TEXT | WHOLE, st.lists, max_leaves=5).map(to_json))
    def fails(data: bytes) -> None:
        with pytest.raises(EncodingError):
            decode(data)

    fails()
