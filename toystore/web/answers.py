# mypy: disallow-untyped-calls=False
"""How a site answers: replies, errors as JSON, and a short way to hot routes in front of Klein."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from attrs import field, frozen
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from toystore.web.codec import encode_error
from toystore.web.input import BadInput

_log = Logger()


_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
"""Twisted has none for 422, for example."""


@frozen
class Reply:
    """An answer, ready to be sent."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Content-Type", b"application/json"),)

    def send(self, request: server.Request) -> bytes:
        """Set status and headers, the length too; the body is for the caller to return or to write."""
        request.setResponseCode(self.status, _PHRASES.get(self.status))
        for name, value in self.headers:
            request.setHeader(name, value)
        request.setHeader(b"Content-Length", b"%d" % len(self.body))
        return self.body


HOME_PAGE = Reply(
    200, b"<!DOCTYPE html><title>toystore</title><h1>Home Page!</h1>", ((b"Content-Type", b"text/html; charset=utf-8"),)
)
"""What the servers of the book store had at `/` (row Q10)."""


# Errors -----------------------------------------------------------------------------------------------------

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_MESSAGES = {404: "there is nothing at this path"}


@frozen
class ErrorShape:
    """How a site tells errors: `render(status, code, message)` gives the body.

    `content_type` None: the answers have none. `known` holds the errors of the routes; those of HTTP itself and
    `BadInput` are known here. What nobody knows is logged and answered with 500.
    """

    render: Callable[[int, str, str], bytes]
    content_type: bytes | None = b"application/json"
    known: Mapping[type[Exception], Callable[[Any], Reply]] = field(factory=dict)

    def reply(self, status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> Reply:
        body = self.render(status, code, message)
        content = () if self.content_type is None else ((b"Content-Type", self.content_type),)
        return Reply(status, body, (*content, *headers))

    def reply_to(self, failure: Failure) -> Reply:
        """The answer to a request that ended with this error."""
        error = failure.value
        for cls, reply in self.known.items():
            if isinstance(error, cls):
                return reply(error)
        if isinstance(error, BadInput):
            return self.reply(400, "malformed", str(error))
        if isinstance(error, HTTPException) and error.code is not None:
            return self._http_error(error, error.code)
        _log.failure("a request failed", failure=failure)
        return self.reply(500, "internal", "something is wrong here; the log says what")

    def _http_error(self, error: HTTPException, status: int) -> Reply:
        if not 400 <= status <= 499:  # a redirect, which some clients do not follow
            return self.reply(404, "not_found", _MESSAGES[404])
        headers: list[tuple[bytes, bytes]] = []
        message = _MESSAGES.get(status) or error.description or error.name
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            methods = ", ".join(sorted(error.valid_methods))
            headers.append((b"Allow", methods.encode()))
            message = f"this path takes {methods}"
        return self.reply(status, _CODES.get(status, "malformed"), message, *headers)

    def install(self, app: Klein) -> None:
        """Answer every error of `app`, 404 and 405 too; call it after any more specific error handlers."""

        def answer(*arguments: Any) -> bytes:
            request, failure = arguments[-2:]  # an app that belongs to an instance passes that first
            return self.reply_to(failure).send(request)

        app.handle_errors(Exception)(cast(Any, answer))


INTERNAL_ERRORS = ErrorShape(lambda status, code, message: encode_error(code, message))
"""How nodes tell errors to one another."""


def json_app() -> Klein:
    """A Klein app whose paths match with or without a trailing slash, and never redirect."""
    app = Klein()
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    return app


# Routes -----------------------------------------------------------------------------------------------------

Handler = Callable[[server.Request, bytes], Awaitable[Reply]]
NameHandler = Callable[[str, server.Request, bytes], Awaitable[Reply]]


class HotPaths(Resource):
    """The root of a site: a few methods and paths answered at once, everything else by Klein.

    Klein's routing costs some 80 us a request, half of what a short one takes.
    """

    isLeaf = True  # noqa: N815

    def __init__(self, fallback: Klein, errors: ErrorShape) -> None:
        super().__init__()
        self._fallback = fallback.resource()
        self._errors = errors
        self._handlers: dict[tuple[bytes, bytes], Handler] = {}
        self._of_names: dict[tuple[bytes, bytes], NameHandler] = {}

    def add(self, method: str, path: str, handler: Handler) -> HotPaths:
        """`handler(request, body)` gives the reply; it is cancelled when the client hangs up."""
        self._handlers[method.encode(), path.encode()] = handler
        return self

    def add_names(self, method: str, prefix: str, handler: NameHandler) -> HotPaths:
        """`handler(name, request, body)` answers for the paths of one name behind `prefix`, which ends with a slash."""
        self._of_names[method.encode(), prefix.encode()] = handler
        return self

    def render(self, request: server.Request) -> bytes | int:
        handler = self._handlers.get((request.method, request.path)) or self._of_name(request)
        if handler is not None:
            self._handle(handler, request)
            return server.NOT_DONE_YET
        try:
            # Klein would answer these outside of its error handlers, and not in JSON.
            for segment in request.postpath or ():
                segment.decode("utf-8")
            return cast("bytes | int", self._fallback.render(request))
        except (UnicodeError, HTTPException) as error:
            return self._errors.reply(400, "malformed", f"not a usable request: {error}").send(request)

    def _of_name(self, request: server.Request) -> Handler | None:
        """A handler for the name that ends the path; a slash may follow it. What is not UTF-8 is left to Klein."""
        path: bytes = request.path
        prefix, slash, quoted = path.removesuffix(b"/").rpartition(b"/")
        handler = self._of_names.get((request.method, prefix + slash))
        if handler is None or not quoted:
            return None
        try:
            return partial(handler, unquote(quoted.decode("ascii"), errors="strict"))
        except UnicodeError:
            return None

    def _handle(self, handler: Handler, request: server.Request) -> None:
        assert request.content is not None, "a request is handled once its body has been received"
        answer: Deferred[Reply] = maybeDeferred(_awaited, handler, request, request.content.read())
        gone = False

        def hang_up(_: Failure) -> None:
            nonlocal gone
            gone = True
            answer.cancel()

        def send(reply: Reply) -> None:
            if not gone:
                request.write(reply.send(request))
                request.finish()

        def failed(failure: Failure) -> Reply:
            if gone and failure.check(CancelledError):
                return Reply(499, b"")
            return self._errors.reply_to(failure)

        request.notifyFinish().addErrback(hang_up)
        answer.addErrback(failed).addCallback(send)
        answer.addErrback(lambda failure: _log.failure("an answer could not be written", failure=failure))


def _awaited(handler: Handler, request: server.Request, body: bytes) -> Deferred[Reply]:
    return ensureDeferred(cast("Deferred[Reply]", handler(request, body)))
