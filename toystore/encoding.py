"""The one encoding of commands, outcomes and rows: JSON, with one byte sequence for one value.

The same bytes are in the log, in the digest chain, in snapshots, in exports and between nodes, so that a log can be
read with any SQLite shell and a request can be made with curl. A command is `[request_id, kind, {fields}]`; in the log
the leader's time stands before it: `[at, request_id, kind, {fields}]`. Reading checks types and names every fault;
it never trusts its input.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from toystore.model import (
    AdjustStock,
    CancelOrder,
    CatalogChange,
    Command,
    Done,
    LoadCatalog,
    Order,
    Outcome,
    PlaceOrder,
    Product,
    PutProduct,
    Refusal,
    Refused,
    Request,
    RestockEmpty,
    SetPrice,
)

T = TypeVar("T")


class EncodingError(ValueError):
    """Bytes that are not what they should be; the message says where and why."""


_encoder = msgspec.json.Encoder(order="sorted")
"""Keys in alphabetical order, because that depends on nothing: not on the order of fields, nor on how they are kept."""

_COMMANDS: dict[str, type[Any]] = {
    "load_catalog": LoadCatalog,
    "put_product": PutProduct,
    "set_price": SetPrice,
    "adjust_stock": AdjustStock,
    "restock_empty": RestockEmpty,
    "place_order": PlaceOrder,
    "cancel_order": CancelOrder,
}
_KINDS = {cls: kind for kind, cls in _COMMANDS.items()}
_command_decoders = {kind: msgspec.json.Decoder(cls) for kind, cls in _COMMANDS.items()}
_request_decoder = msgspec.json.Decoder(tuple[str, str, msgspec.Raw])
_entry_decoder = msgspec.json.Decoder(tuple[int, str, str, msgspec.Raw])
_outcome_decoder = msgspec.json.Decoder(tuple[str, msgspec.Raw])
_done_decoder = msgspec.json.Decoder(Done)
_refused_decoder = msgspec.json.Decoder(tuple[Refusal, str])


def kind_of(command: Command) -> str:
    """The name of a command in the log, such as `place_order`."""
    return _KINDS[type(command)]


def to_json(value: Any) -> bytes:
    """The bytes of any value of the model (attrs values as objects, their keys sorted)."""
    return _encoder.encode(value)


def from_json(data: bytes | str, cls: type[T]) -> T:
    """Read a value of the model. Raises EncodingError."""
    try:
        return msgspec.json.decode(data, type=cls)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EncodingError(str(error)) from error


def encode_request(request: Request) -> bytes:
    """`[request_id, kind, {fields}]`: a command on its way to the leader."""
    return _encoder.encode((request.request_id, _KINDS[type(request.command)], request.command))


def decode_request(data: bytes | msgspec.Raw) -> Request:
    """The request in these bytes. Raises EncodingError."""
    try:
        request_id, kind, fields = _request_decoder.decode(data)
        return Request(request_id, _decode_command(kind, fields))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EncodingError(f"not a request: {error}") from error


def encode_entry(at: int, request: Request) -> bytes:
    """`[at, request_id, kind, {fields}]`: a command in the log, stamped by the leader."""
    return _encoder.encode((at, request.request_id, _KINDS[type(request.command)], request.command))


def decode_entry(data: bytes) -> tuple[int, Request]:
    """The leader's time (milliseconds) and the request of a log entry. Raises EncodingError."""
    try:
        at, request_id, kind, fields = _entry_decoder.decode(data)
        return at, Request(request_id, _decode_command(kind, fields))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EncodingError(f"not a log entry: {error}") from error


def _decode_command(kind: str, fields: msgspec.Raw) -> Command:
    decoder = _command_decoders.get(kind)
    if decoder is None:
        raise EncodingError(f"unknown command {kind!r}; known are {', '.join(_COMMANDS)}")
    command: Command = decoder.decode(fields)
    return command


def encode_outcome(outcome: Outcome) -> bytes:
    """`["done", {...}]` or `["refused", [refusal, detail]]`."""
    if isinstance(outcome, Done):
        return _encoder.encode(("done", outcome))
    return _encoder.encode(("refused", (outcome.refusal, outcome.detail)))


def decode_outcome(data: bytes | msgspec.Raw) -> Outcome:
    """The outcome in these bytes. Raises EncodingError."""
    try:
        kind, fields = _outcome_decoder.decode(data)
        if kind == "done":
            return _done_decoder.decode(fields)
        if kind == "refused":
            refusal, detail = _refused_decoder.decode(fields)
            return Refused(refusal, detail)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EncodingError(f"not an outcome: {error}") from error
    raise EncodingError(f"unknown outcome {kind!r}; known are done, refused")


def encode_rows(rows: tuple[Product | Order | CatalogChange, ...]) -> list[bytes]:
    """One JSON line (without its end) for each row."""
    return [_encoder.encode(row) for row in rows]
