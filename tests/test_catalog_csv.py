"""The first catalog: the packaged one, what a row may hold, and that every fault is told with its line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toystore.model import BOUND, CatalogRow
from toystore.money import decimal_text, minor_units
from toystore.names import idempotency_key, product_name
from toystore.ops.catalog_csv import CatalogError, parse_catalog, read_catalog
from toystore.ops.config import default_config_path


@pytest.mark.row("C1", "C6")
def test_the_toys() -> None:
    rows = read_catalog(default_config_path().parent / "toys.csv", "USD")
    assert [(row.name, row.price, row.quantity) for row in rows] == [
        ("Tux", 1599, 100),
        ("Whale", 2599, 100),
        ("Fox", 1299, 100),
        ("Python", 2099, 100),
        ("Barbie", 5599, 100),
        ("Lego", 4599, 100),
        ("Monopoly", 1099, 100),
        ("Frisbee", 599, 100),
        ("Marbles", 799, 100),
        ("Giraffe", 7599, 100),
    ]


def test_numbers_topics_and_any_order_of_columns() -> None:
    text = 'number,topic,name,quantity,price\n3,systems,"Xen, and more",10,12\n,,Other,0,0.5\n\n'
    assert parse_catalog(text, "USD") == (
        (CatalogRow("Xen, and more", 1200, 10, 3, "systems"), CatalogRow("Other", 50, 0)),
        [],
    )


@pytest.mark.row("C4")
def test_a_volume_that_was_traded_before_or_none() -> None:
    rows, faults = parse_catalog("name,price,quantity,volume\napple,152.59,1000,100\nstock1,25.78,100,\n", "USD")
    assert ([row.volume for row in rows], faults) == ([100, 0], [])


def test_names_are_normalised() -> None:
    rows, faults = parse_catalog("name,price,quantity\nCafe\u0301,1,1\n", "USD")
    assert (rows[0].name, faults) == ("Caf\u00e9", [])


FAULTS = {
    "name,price\nTux,1\n": (1, "expected the header name,price,quantity,[number,topic,volume], found 'name,price'"),
    "": (1, "expected the header"),
    "name,price,quantity,name\n": (1, "expected the header"),
    "name,price,quantity\nTux,1\n": (2, "expected 3 values, found 2"),
    "name,price,quantity\na/b,1,1\n": (2, 'name: a name has no "/"'),
    "name,price,quantity\nTux,1.999,1\n": (2, "price: a price in USD has at most 2 decimals, found '1.999'"),
    "name,price,quantity\nTux,-1,1\n": (2, "price: expected a price such as 19.99, found '-1'"),
    "name,price,quantity\nTux,1e3,1\n": (2, "price: expected a price such as 19.99, found '1e3'"),
    "name,price,quantity\nTux,1,1.5\n": (2, "quantity: expected a whole number from 0 to"),
    "name,price,quantity\nTux,1,-1\n": (2, "quantity: expected a whole number from 0 to"),
    f"name,price,quantity\nTux,1,{BOUND + 1}\n": (2, "quantity: expected a whole number from 0 to"),
    "name,price,quantity\nTux,1,\u0663\n": (2, "quantity: expected a whole number from 0 to"),
    "name,price,quantity\nTux,1,1\nFox,1,1\nTux,1,1\n": (4, "the name 'Tux' is there already, in line 2"),
    "name,price,quantity,number\nTux,1,1,2\nFox,1,1,2\n": (3, "the number 2 is there already, in line 2"),
    "name,price,quantity,number\nTux,1,1,\nFox,1,1,1\n": (3, "the number 1 is there already, in line 2"),
    "name,price,quantity,number\nTux,1,1,0\n": (2, "number: expected a whole number from 1 to"),
    "name,price,quantity,volume\nTux,1,1,-1\n": (2, "volume: expected a whole number from 0 to"),
    f"name,price,quantity,topic\nTux,1,1,{'x' * 65}\n": (2, "topic: expected at most 64"),
    'name,price,quantity\n"Tux"x,1,1\n': (2, "not CSV: "),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_told_with_its_line(text: str) -> None:
    line, expected = FAULTS[text]
    _, faults = parse_catalog(text, "USD")
    assert len(faults) == 1
    assert faults[0][0] == line
    assert faults[0][1].startswith(expected)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("name,price,quantity\n,x,-1\nTux,1,1\nFox,1,one\n")
    with pytest.raises(CatalogError) as caught:
        read_catalog(path, "USD")
    assert [line for line, _ in caught.value.faults] == [2, 2, 2, 4]
    assert all(str(path) in line for line in str(caught.value).splitlines())


def test_bytes_that_are_not_text_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(b"name,price,quantity\nT\xffx,1,1\n")
    with pytest.raises(CatalogError, match=r"shop\.csv: line 2: not UTF-8"):
        read_catalog(path, "USD")
    with pytest.raises(CatalogError, match=r"none\.csv: can not be read"):
        read_catalog(tmp_path / "none.csv", "USD")


# Money ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(11)
@given(st.integers(0, BOUND), st.sampled_from(["USD", "JPY", "KWD"]))
def test_money_goes_there_and_back_exactly(amount: int, currency: str) -> None:
    text = decimal_text(amount, currency)
    assert minor_units(text, currency) == amount
    assert Decimal(text).scaleb({"USD": 2, "JPY": 0, "KWD": 3}[currency]) == amount


def test_money_as_people_write_it() -> None:
    assert [minor_units(text, "USD") for text in ("20.0", "0.05", "007", "12.9900")] == [2000, 5, 700, 1299]
    assert [decimal_text(n, "USD") for n in (0, 5, 2050, -150)] == ["0.00", "0.05", "20.50", "-1.50"]
    assert (decimal_text(500, "JPY"), decimal_text(1500, "KWD")) == ("500", "1.500")


@pytest.mark.parametrize("text", ["", ".5", "1.", "+1", " 1", "1,5", "1_0", "\u0661", "nan", "9" * 5000])
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a price|a price is at most 90071992547409\.92"):
        minor_units(text, "USD")


# Names ------------------------------------------------------------------------------------------------------


@given(st.text(max_size=70))
def test_a_name_that_is_taken_is_one_segment_of_a_path(text: str) -> None:
    try:
        name = product_name(text)
    except ValueError:
        return
    assert product_name(name) == name
    assert 1 <= len(name) <= 64
    assert "/" not in name
    assert name not in (".", "..")
    name.encode()


@pytest.mark.parametrize("text", ["", "x" * 65, "a\nb", "a/b", ".", "..", "a\u200bb", "\ud800"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a name has "):
        product_name(text)


@pytest.mark.parametrize("text", ["", "k" * 129, "a b", "ké", "a\x7f"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a key has "):
        idempotency_key(text)
    assert idempotency_key("~!" * 64) == "~!" * 64
