"""JSON between nodes, apart from what replicas say to one another.

| bytes | what |
|---|---|
| `{"cluster","version","from","requests":[[id,kind,{fields}],..]}` | body of `POST /ledger` |
| `{"term","generation","results":[["answer",index,term,outcome],["turned_away" or "unsure",0,0,why],..]}` | its answer |
| `{"asof":[generation,index],"age":seconds or null,"value":..}` | a value read at one point |
| `{"start":position}`, `{"at":position,"products":[..]}`, `{"reset":position}`, `{"age":seconds}` | feed |
| `{"error":code,"detail":text}`, `{"error":"not_leader","leader":node or null}` | errors |

Reading checks types and never trusts; everything raises `EncodingError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from attrs import frozen

from toystore.encoding import EncodingError, decode_outcome, decode_request, encode_outcome, encode_request
from toystore.model import Position, Request
from toystore.replication.interface import Answer, Result, TurnedAway, Unsure
from toystore.web.interface import (
    Dated,
    FeedBeat,
    FeedChange,
    FeedLine,
    FeedReset,
    FeedStart,
    Submitted,
)

VERSION = 1
MAX_REQUESTS = 1000
MAX_REQUEST_ID = 200

_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")
S = TypeVar("S")
_encoder = msgspec.json.Encoder()


def _decode(decoder: msgspec.json.Decoder[S], data: bytes | msgspec.Raw, what: str) -> S:
    try:
        return decoder.decode(data)
    except _FAULTS as error:
        raise EncodingError(f"not {what}: {error}") from error


# Batches for the ledger -------------------------------------------------------------------------------------


@frozen
class Batch:
    """What one node asks of the ledger at once."""

    cluster: str
    sender: str
    requests: tuple[Request, ...]


class _Batch(msgspec.Struct):
    cluster: str
    version: int
    sender: str = msgspec.field(name="from")
    requests: list[msgspec.Raw]


class _Results(msgspec.Struct):
    term: int
    generation: int
    results: list[tuple[str, int, int, msgspec.Raw]]


_batch_decoder = msgspec.json.Decoder(_Batch)
_results_decoder = msgspec.json.Decoder(_Results)
_text_decoder = msgspec.json.Decoder(str)


def encode_batch(cluster: str, sender: str, requests: Sequence[Request]) -> bytes:
    return _encoder.encode(
        {
            "cluster": cluster,
            "version": VERSION,
            "from": sender,
            "requests": [msgspec.Raw(encode_request(request)) for request in requests],
        }
    )


def decode_batch(data: bytes) -> Batch:
    body = _decode(_batch_decoder, data, "a batch for the ledger")
    if body.version != VERSION:
        raise EncodingError(f"this is version {body.version} of the protocol; here is {VERSION}")
    if len(body.requests) > MAX_REQUESTS:
        raise EncodingError(f"{len(body.requests)} requests are too many; at most {MAX_REQUESTS} make a batch")
    return Batch(body.cluster, body.sender, tuple(map(_read_request, body.requests)))


def _read_request(data: msgspec.Raw) -> Request:
    try:
        request = decode_request(data)
    except RecursionError as error:
        raise EncodingError("not a request: nested too deep") from error
    if not 1 <= len(request.request_id) <= MAX_REQUEST_ID:
        raise EncodingError(f"a request id must have 1 to {MAX_REQUEST_ID} characters")
    return request


def encode_results(term: int, results: Sequence[Result]) -> bytes:
    generation = max((result.generation for result in results if isinstance(result, Answer)), default=0)
    return _encoder.encode({"term": term, "generation": generation, "results": list(map(_pack_result, results))})


def _pack_result(result: Result) -> tuple[str, int, int, msgspec.Raw | str]:
    match result:
        case Answer(index, term, outcome):
            return "answer", index, term, msgspec.Raw(encode_outcome(outcome))
        case TurnedAway(reason):
            return "turned_away", 0, 0, reason
        case Unsure(reason):
            return "unsure", 0, 0, reason


def decode_results(data: bytes) -> Submitted:
    body = _decode(_results_decoder, data, "results of a batch")
    return Submitted(body.term, tuple(_unpack_result(body.generation, *result) for result in body.results))


def _unpack_result(generation: int, kind: str, index: int, term: int, rest: msgspec.Raw) -> Result:
    if kind == "answer":
        return Answer(index, term, decode_outcome(rest), generation)
    if kind == "turned_away":
        return TurnedAway(_decode(_text_decoder, rest, "a reason"))
    if kind == "unsure":
        return Unsure(_decode(_text_decoder, rest, "a reason"))
    raise EncodingError(f"unknown result {kind!r}; known are answer, turned_away, unsure")


# Dated values -----------------------------------------------------------------------------------------------


class _Dated(msgspec.Struct):
    asof: Position
    age: float | None
    value: msgspec.Raw


_dated_decoder = msgspec.json.Decoder(_Dated)


def encode_dated(value: Any, asof: Position, age: float | None) -> bytes:
    return _encoder.encode({"asof": asof, "age": age, "value": value})


class DatedDecoder:
    """Reads dated values of one type, such as `Product | None` or `list[Order]`."""

    def __init__(self, of: Any) -> None:
        self._values: msgspec.json.Decoder[Any] = msgspec.json.Decoder(of)

    def decode(self, data: bytes) -> Dated[Any]:
        body = _decode(_dated_decoder, data, "a dated value")
        return Dated(_decode(self._values, body.value, "the value it should be"), body.asof, body.age)


# Positions as text ------------------------------------------------------------------------------------------


def position_text(position: Position) -> str:
    """`generation:index`, or the index alone in generation 0."""
    return f"{position.generation}:{position.index}" if position.generation else str(position.index)


def read_position(text: str) -> Position:
    """The position in `generation:index` or `index`. Raises EncodingError."""
    parts = text.split(":")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and len(part) <= 16 for part in parts):
        raise EncodingError(f"{text[:40]!r} is not a position; it should be like 123 or 0:123")
    numbers = list(map(int, parts))
    return Position(0, numbers[0]) if len(numbers) == 1 else Position(*numbers)


# Feed lines -------------------------------------------------------------------------------------------------


class _FeedLine(msgspec.Struct):
    start: Position | None = None
    at: Position | None = None
    products: tuple[str, ...] | None = None
    reset: Position | None = None
    age: float | msgspec.UnsetType | None = msgspec.UNSET


_feed_decoder = msgspec.json.Decoder(_FeedLine)


def encode_feed_line(line: FeedLine) -> bytes:
    """One line of the feed, with its end."""
    match line:
        case FeedStart(position):
            value: dict[str, Any] = {"start": position}
        case FeedChange(position, names):
            value = {"at": position, "products": names}
        case FeedReset(position):
            value = {"reset": position}
        case FeedBeat(age):
            value = {"age": age}
    return _encoder.encode(value) + b"\n"


def decode_feed_line(data: bytes) -> FeedLine:
    line = _decode(_feed_decoder, data, "a feed line")
    if line.start is not None:
        return FeedStart(line.start)
    if line.at is not None and line.products is not None:
        return FeedChange(line.at, line.products)
    if line.reset is not None:
        return FeedReset(line.reset)
    if not isinstance(line.age, msgspec.UnsetType):
        return FeedBeat(line.age)
    raise EncodingError("not a feed line: it needs start, at and products, reset, or age")


# Errors -----------------------------------------------------------------------------------------------------


class _Error(msgspec.Struct):
    error: str
    detail: str = ""
    leader: str | None = None


_error_decoder = msgspec.json.Decoder(_Error)


@frozen
class ErrorBody:
    """An error of another node: its code, what it says, and for `not_leader` the node to ask."""

    code: str
    detail: str
    leader: str | None


def encode_error(code: str, detail: str) -> bytes:
    return _encoder.encode({"error": code, "detail": detail})


def encode_not_leader(leader: str | None) -> bytes:
    return _encoder.encode({"error": "not_leader", "leader": leader})


def decode_error(data: bytes) -> ErrorBody:
    body = _decode(_error_decoder, data, "an error")
    return ErrorBody(body.error, body.detail, body.leader)
