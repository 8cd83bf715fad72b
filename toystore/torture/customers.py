"""Clients who do one thing after another through a front end, send each request once, and write down what came of it.

A client whose outcome is unknown (504, a broken connection, no answer in time) goes on under another number, and asks some
time later for the same order with the same key, which is another operation.
"""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.web.client import readBody
from twisted.web.http_headers import Headers

from toystore.checking.events import FAIL, INFO, INVOKE, OK
from toystore.checking.history import HistoryWriter
from toystore.encoding import EncodingError
from toystore.together import together
from toystore.web.agent import Body, make_agent
from toystore.web.codec import read_position

PATIENCE = 12.0
"""Seconds; a little longer than the store's own deadline for a request."""
GONE = ("ConnectionRefusedError", "NoRouteError", "TimeoutError", "ConnectError")
GONE_SECONDS = 0.3
"""How long a client rests where its front end is not there."""
KNOWN_ORDERS = 200
"""Orders that a client remembers, to ask for and to cancel."""
RETRY_SHARE = 0.5
"""How often a client with an order of unknown fate asks for it again, instead of something new."""

MIX: Mapping[str, int] = {"buy": 40, "sell": 6, "cancel": 4, "order": 12, "stock": 10, "product": 28}
"""How often each is done, in a hundred; `checking.history` says what they are."""
ASKS_THE_LEADER = ("buy", "sell", "cancel", "order", "stock")


@frozen
class Wish:
    """What a client is about to ask for: `value` as the history has it."""

    f: str
    value: Mapping[str, Any]

    @property
    def method(self) -> bytes:
        return b"GET" if self.f in ("order", "stock", "product") else b"POST"

    @property
    def path(self) -> str:
        match self.f:
            case "buy" | "sell":
                return "/v1/orders"
            case "cancel":
                return f"/v1/orders/{self.value['number']}/cancel"
            case "order":
                return f"/v1/orders/{self.value['number']}"
        query = "?consistency=linearizable" if self.f == "stock" else ""
        return f"/v1/products/{quote(self.value['name'])}{query}"

    @property
    def body(self) -> bytes:
        if self.f not in ("buy", "sell"):
            return b""
        lines = [{"name": name, "quantity": quantity} for name, quantity in self.value["lines"]]
        return json.dumps({"side": self.f, "lines": lines}).encode()

    @property
    def headers(self) -> Headers:
        found = Headers()
        if self.f in ("buy", "sell"):
            found.setRawHeaders(b"Content-Type", [b"application/json"])
            found.setRawHeaders(b"Idempotency-Key", [self.value["key"].encode()])
        return found


@frozen
class Told:
    """What came of it: one of the types of an event, with what the history has of it."""

    type: str
    value: Mapping[str, Any] = field(factory=dict)
    generation: int = 0
    error: str = ""


@frozen
class Reply:
    """An answer of the front end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def judged(wish: Wish, reply: Reply) -> Told:
    """What an answer means. Pure. An answer that is not as the API has it is told as what nobody knows."""
    if reply.status == 503 or 400 <= reply.status < 500:
        code = _code(reply)
        if wish.f == "order" and code == "unknown_order":
            return Told(OK, {"status": "unknown"})
        return Told(FAIL, error=code)
    if reply.status not in (200, 201):
        return Told(INFO if wish.method == b"POST" else FAIL, error=_code(reply))
    try:
        generation, index = _position(reply)
        data = json.loads(reply.body)["data"]
        return Told(OK, {"index": index, **_TOLD[wish.f](data, reply)}, generation)
    except (ValueError, LookupError, TypeError, EncodingError) as error:
        return Told(INFO, error=f"unreadable: {error!r}")


def _code(reply: Reply) -> str:
    try:
        return str(json.loads(reply.body)["code"])
    except (ValueError, LookupError, TypeError):
        return f"status {reply.status}"


def _position(reply: Reply) -> tuple[int, int]:
    position = read_position(reply.headers["toystore-index"])
    return position.generation, position.index


def _order(data: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    lines = [[line["name"], line["quantity"], line["unit_price"]] for line in data["lines"]]
    return {"number": data["number"], "lines": lines, "total": data["total"], "at": data["at"]}


def _placed(data: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    return _order(data, reply) | {"replayed": reply.headers.get("idempotent-replayed") == "true"}


def _cancelled(data: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    return {"number": data["number"]}


def _found(data: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    more = {"status": data["status"], "side": data["side"], "key": reply.headers["idempotency-key"]}
    return _order(data, reply) | more


def _stock(data: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    return {name: data[name] for name in ("name", "quantity", "version")}


def _product(data: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    age = reply.headers.get("toystore-age")
    return _stock(data, reply) | {"age": None if age is None else -1 if age == "unknown" else int(age)}


_TOLD: Mapping[str, Any] = {
    "buy": _placed,
    "sell": _placed,
    "cancel": _cancelled,
    "order": _found,
    "stock": _stock,
    "product": _product,
}


@define
class Taste:
    """What one client wants next. Pure: all it draws comes from `rng`."""

    name: str
    rng: random.Random
    products: Sequence[str]
    orders: deque[int] = field(factory=lambda: deque(maxlen=KNOWN_ORDERS))
    unknown: deque[Wish] = field(factory=lambda: deque(maxlen=KNOWN_ORDERS))
    """Orders whose fate is not known."""
    _asked: int = 0

    def next(self) -> Wish:
        if self.unknown and self.rng.random() < RETRY_SHARE:
            return self.unknown.popleft()
        (f,) = self.rng.choices(list(MIX), list(MIX.values()))
        if f in ("cancel", "order"):
            if self.orders:
                return Wish(f, {"number": self.rng.choice(self.orders)})
            f = "buy"
        if f in ("stock", "product"):
            return Wish(f, {"name": self.rng.choice(self.products)})
        self._asked += 1
        names = self.rng.sample(self.products, self.rng.choice((1, 1, 1, 2, 3)))
        return Wish(f, {"key": f"{self.name}-{self._asked}", "lines": [[name, self.rng.randint(1, 9)] for name in names]})

    def learn(self, wish: Wish, told: Told) -> None:
        if wish.f in ("buy", "sell"):
            if told.type == OK:
                self.orders.append(told.value["number"])
            elif told.type == INFO:
                self.unknown.append(wish)


@define
class Pulse:
    """How well the store serves: counts by operation and outcome, and when each client last got what the leader must give.
    Times are seconds of the monotonic clock."""

    outcomes: Counter[tuple[str, str]] = field(factory=Counter)
    errors: Counter[str] = field(factory=Counter)
    served: dict[str, float] = field(factory=dict)
    """By client: when it last sent something that the leader then answered with yes."""
    longest_gap: float = 0.0
    """Longest time without any success in between."""
    _last: float | None = None

    def note(self, client: str, wish: Wish, told: Told, began: float, now: float) -> None:
        self.outcomes[wish.f, told.type] += 1
        if told.type != OK:
            self.errors[f"{wish.f}: {told.error}"] += 1
            return
        if wish.f in ASKS_THE_LEADER:
            self.served[client] = began
            if self._last is not None:
                self.longest_gap = max(self.longest_gap, now - self._last)
            self._last = now


@define
class Customers:
    """`fronts`: name and URL of each; the clients are dealt out over them. `rate`: operations a second of all together."""

    reactor: Any
    history: HistoryWriter
    fronts: Sequence[tuple[str, str]]
    products: Sequence[str]
    clients: int
    rate: float
    seed: int
    pulse: Pulse = field(factory=Pulse)
    _go_on: bool = True
    _dropped: bool = False
    _processes: int = 0
    _done: Deferred[list[None]] | None = None

    def start(self) -> None:
        self._processes = self.clients
        self._done = Deferred.fromCoroutine(together(self._live(number) for number in range(self.clients)))

    async def end(self) -> None:
        """Everybody finishes what is under way, which takes up to `PATIENCE`."""
        self._go_on = False
        assert self._done is not None, "they have started"
        await self._done

    def drop(self) -> None:
        """Nobody asks or writes anything any more; nothing happens where all have ended."""
        self._dropped = True
        if self._done is not None:
            self._done.addErrback(lambda failure: failure.trap(CancelledError))
            self._done.cancel()

    def names(self) -> list[str]:
        return [_name(self.seed, number) for number in range(self.clients)]

    async def _live(self, number: int) -> None:
        name = _name(self.seed, number)
        rng = random.Random(name)
        front, url = self.fronts[number % len(self.fronts)]
        taste, line = Taste(name, rng, self.products), _Line(self.reactor, url)
        process = number
        while self._go_on:
            await deferLater(self.reactor, rng.uniform(0.2, 1.8) * self.clients / self.rate)
            wish = taste.next()
            began = self._now(process, INVOKE, wish.f, wish.value, front)
            told = await line.ask(wish)
            if self._dropped:
                return
            now = self._now(process, told.type, wish.f, told.value, front, told.generation, told.error)
            taste.learn(wish, told)
            self.pulse.note(name, wish, told, began, now)
            if told.error in GONE:
                await deferLater(self.reactor, GONE_SECONDS)
            if told.type == INFO:
                process, self._processes = self._processes, self._processes + 1

    def _now(
        self,
        process: int,
        type_: str,
        f: str,
        value: Mapping[str, Any],
        front: str,
        generation: int = 0,
        error: str = "",
    ) -> float:
        """Write an event down; its time in seconds."""
        now: float = self.reactor.seconds()
        self.history.record(int(now * 1e9), process, type_, f, value, front=front, generation=generation, error=error)
        return now


def _name(seed: int, number: int) -> str:
    return f"t{seed}-c{number}"


class _Line:
    """One client's connection to its front end."""

    def __init__(self, reactor: Any, url: str) -> None:
        self._reactor = reactor
        self._url = url
        self._agent = make_agent(reactor, connect_timeout=PATIENCE, max_per_host=1)

    async def ask(self, wish: Wish) -> Told:
        """What came of it, whatever that is."""
        body = Body(wish.body) if wish.method == b"POST" else None
        exchange = Deferred.fromCoroutine(self._exchange(wish, body))
        try:
            reply = await exchange.addTimeout(PATIENCE, self._reactor)
        except CancelledError:
            raise
        except Exception as error:  # any way in which a connection can fail
            never_left = body is not None and not body.started
            certain = wish.method == b"GET" or never_left
            return Told(FAIL if certain else INFO, error=type(error).__name__)
        return judged(wish, reply)

    async def _exchange(self, wish: Wish, body: Body | None) -> Reply:
        url = f"{self._url}{wish.path}".encode("ascii")
        response = await self._agent.request(wish.method, url, wish.headers, body)
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return Reply(response.code, headers, await readBody(response))
