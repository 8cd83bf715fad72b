"""The data of MEMBERS entries: which storage uuid counts for which voter, and how the cluster elects."""

from __future__ import annotations

import json
from collections.abc import Mapping

from toystore.consensus.messages import NodeId


def encode_members(election: str, uuids: Mapping[NodeId, str]) -> bytes:
    return json.dumps({"election": election, "uuids": dict(sorted(uuids.items()))}, separators=(",", ":")).encode()


def decode_members(data: bytes) -> tuple[str, dict[NodeId, str]]:
    """The election mode and the uuids by node. The data comes from our own log: no errors expected."""
    value = json.loads(data)
    return value["election"], value["uuids"]
