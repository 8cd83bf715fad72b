"""What a front end tells about itself, on its own port."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from twisted.web.server import Request

from toystore.encoding import to_json
from toystore.frontend.storefront import Storefront
from toystore.frontend.view_routes import ERRORS
from toystore.web.answers import HotPaths, Reply, json_app


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

    def __init__(self, storefront: Storefront, facts: FrontFacts) -> None:
        self._storefront = storefront
        self._facts = facts

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

    ERRORS.install(app)
