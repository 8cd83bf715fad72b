"""What a front end tells about itself, on its own port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.web.server import Request

from toystore.encoding import to_json
from toystore.frontend.cache import Filled
from toystore.frontend.slots import Noted, SlotRecord
from toystore.frontend.storefront import Storefront
from toystore.frontend.view_routes import ERRORS
from toystore.web.answers import HotPaths, Reply, json_app
from toystore.web.input import query_integer

MAX_EVENTS = 1000
"""Events of the cache in one answer."""


@frozen
class FrontFacts:
    """What does not change while the process runs; `public` are its listeners as "dialect listen"."""

    name: str
    cluster: str
    election: str
    pid: int
    public: Sequence[str]


class FrontRoutes:
    app = json_app()

    def __init__(self, storefront: Storefront, facts: FrontFacts, slots: SlotRecord) -> None:
        self._storefront = storefront
        self._facts = facts
        self._slots = slots

    def resource(self) -> HotPaths:
        return HotPaths(self.app, ERRORS)

    @app.route("/livez", methods=["GET"])
    def live(self, request: Request) -> bytes:
        """That this is answered shows that the loop turns."""
        return Reply(200, b'{"live":true}').send(request)

    @app.route("/readyz", methods=["GET"])
    def ready(self, request: Request) -> bytes:
        reasons = self._storefront.ready()
        return Reply(503 if reasons else 200, to_json({"ready": not reasons, "reasons": reasons})).send(request)

    @app.route("/status", methods=["GET"])
    def status(self, request: Request) -> bytes:
        facts = self._facts
        return Reply(
            200,
            to_json(
                {
                    "format": 1,
                    "name": facts.name,
                    "role": "front",
                    "state": "serving",
                    "cluster": facts.cluster,
                    "election": facts.election,
                    "pid": facts.pid,
                    "public": facts.public,
                    **self._storefront.status(),
                }
            ),
        ).send(request)

    @app.route("/cache-events", methods=["GET"])
    def cache_events(self, request: Request) -> bytes:
        """What happened to the slots of the cache since the event with the number `after`, the oldest first; `last` is
        the number of the newest there is."""
        noted = self._slots.after(query_integer(request, "after") or 0, MAX_EVENTS)
        page = {
            "format": 1,
            "capacity": self._storefront.cache.capacity,
            "last": self._slots.last,
            "events": [_as_json(event) for event in noted],
        }
        return Reply(200, to_json(page)).send(request)

    ERRORS.install(app)


def _as_json(noted: Noted) -> dict[str, Any]:
    event = noted.event
    return {
        "number": noted.number,
        "at": round(noted.at, 6),
        "slot": event.slot,
        "event": "filled" if isinstance(event, Filled) else "emptied",
        "name": event.name,
        "replaced": event.replaced if isinstance(event, Filled) else None,
    }
