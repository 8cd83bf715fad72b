"""Strict JSON and query parameters."""

import pytest
from twisted.web.test.requesthelper import DummyRequest

from toystore.web.input import BadInput, BadJson, query_integer, query_text, read_json, whole_number


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":1}{', "not JSON"),
        (b'{"a":1,"a":1}', "'a' is there twice"),
        (b'{"a":{"b":1,"b":2}}', "'b' is there twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "deeper than 8"),
        (b'{"a":' + b"[" * 60000, "deeper than 8"),
    ],
)
def test_what_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadJson, match=reason):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b'{"a":' * 8 + b"1" + b"}" * 8, None),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":"{[{[{[{[{[{["}', {"a": "{[{[{[{[{[{["}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
    ],
)
def test_what_is_read(body: bytes, value: object) -> None:
    read = read_json(body)
    assert value is None or read == value


def test_other_values_than_objects_on_demand() -> None:
    assert read_json(b"[1]", must_be_object=False) == [1]


def request(**args: list[bytes]) -> DummyRequest:
    asked = DummyRequest([b""])
    asked.args = {name.encode(): values for name, values in args.items()}
    return asked


def test_query_parameters() -> None:
    asked = request(limit=[b"7"], q=[b"caf\xc3\xa9"], twice=[b"1", b"1"], bad=[b"\xff"], minus=[b"-1"])
    assert query_integer(asked, "limit") == 7
    assert query_text(asked, "q") == "café"
    assert query_text(asked, "absent") is None
    assert query_integer(asked, "absent") is None
    for name in ("twice", "bad"):
        with pytest.raises(BadInput, match=name):
            query_text(asked, name)
    with pytest.raises(BadInput, match="minus must be a whole number from 0"):
        query_integer(asked, "minus")


@pytest.mark.parametrize("text", ["", "x", "1.0", "+1", "٣", "6", "9" * 5000])
def test_no_whole_number(text: str) -> None:
    with pytest.raises(BadInput, match="n must be a whole number from 1 to 5"):
        whole_number(text, "n", 1, 5)
