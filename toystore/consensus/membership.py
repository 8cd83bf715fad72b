"""The data of MEMBERS entries: which storage uuid counts for which voter, how the cluster elects, and its generation."""

from __future__ import annotations

import json
from collections.abc import Mapping

from toystore.consensus.messages import NodeId


def encode_members(election: str, uuids: Mapping[NodeId, str], generation: int = 0) -> bytes:
    """A generation of 0 is not written: it is that of every ledger for which no loss was accepted."""
    value: dict[str, object] = {"election": election, "uuids": dict(sorted(uuids.items()))}
    if generation:
        value["generation"] = generation
    return json.dumps(value, separators=(",", ":")).encode()


def decode_members(data: bytes) -> tuple[str, dict[NodeId, str]]:
    """The election mode and the uuids by node. The data comes from our own log: no errors expected."""
    value = json.loads(data)
    return value["election"], value["uuids"]


def decode_generation(data: bytes) -> int:
    """The generation that begins with this entry."""
    return int(json.loads(data).get("generation", 0))
