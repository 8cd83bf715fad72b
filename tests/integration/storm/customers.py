"""Customers who buy one after the other over a kept connection, and write down what came of each request.

A request is sent once: no client here repeats anything, so whatever the store hides of a failure it hides itself.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field, frozen

Lines = tuple[tuple[str, int], ...]
"""Names and quantities."""

PATIENCE = 15.0
"""Seconds until a client takes an answer for lost: longer than the store's own deadline."""


@frozen
class Wish:
    """An order to send."""

    key: str
    lines: Lines


@frozen
class Record:
    """What came of one request. `status` is 0 where no answer came, and `fault` says why; `order` is what an
    acknowledgement says. Times in seconds, monotonic."""

    wish: Wish
    start: float
    end: float
    status: int
    order: dict[str, Any] | None = None
    fault: str = ""

    @property
    def wait(self) -> float:
        return self.end - self.start

    @property
    def acknowledged(self) -> bool:
        return self.status in (200, 201)

    @property
    def refused(self) -> bool:
        """The store has said that it is not carried out: a refusal, or unavailable."""
        return 400 <= self.status < 500 or self.status == 503


class Connection:
    """One kept connection to the v1 listener at `url`."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        address = urlsplit(url)
        self._http = http.client.HTTPConnection(str(address.hostname), address.port, timeout=patience)

    def buy(self, wish: Wish) -> Record:
        """Send it once. After a failure the next one gets a new connection."""
        lines = [{"name": name, "quantity": quantity} for name, quantity in wish.lines]
        body = json.dumps({"side": "buy", "lines": lines}).encode()
        start = time.monotonic()
        try:
            self._http.request("POST", "/v1/orders", body, {"Idempotency-Key": wish.key})
            answer = self._http.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            kind = "timeout" if isinstance(error, TimeoutError) else "reset"
            return Record(wish, start, time.monotonic(), 0, fault=f"{kind}: {error!r}")
        end = time.monotonic()
        order = json.loads(content)["data"] if answer.status in (200, 201) else None
        fault = "" if answer.status < 500 else content.decode("utf-8", "replace")
        return Record(wish, start, end, answer.status, order, fault)

    def close(self) -> None:
        self._http.close()


@frozen
class Basket:
    """What customers want. Of `plenty` there is enough for all; one request in `greedy_every` asks for more of
    `scarce` than there is, so that refusals are among the answers."""

    plenty: Sequence[str]
    scarce: str
    greedy_every: int = 20

    def wishes(self, who: str, chance: random.Random) -> Iterator[Wish]:
        """Without end, each with a key of its own."""
        for count in itertools.count(1):
            key = f"{who}-{count}"
            if count % self.greedy_every == 0:
                yield Wish(key, ((chance.choice(self.plenty), 1), (self.scarce, 1_000)))
            else:
                names = chance.sample(self.plenty, chance.choice((1, 1, 1, 2)))
                yield Wish(key, tuple((name, chance.randint(1, 9)) for name in names))


@define
class Crowd:
    """`clients` threads that buy until `stop`. `rate` is requests a second of all together, 0 for as many as
    there can be."""

    url: str
    clients: int
    basket: Basket
    rate: float = 0.0
    seed: int = 1
    records: list[Record] = field(factory=list)
    _threads: list[threading.Thread] = field(factory=list)
    _over: threading.Event = field(factory=threading.Event)

    def start(self) -> Crowd:
        for number in range(self.clients):
            thread = threading.Thread(target=self._shop, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def stop(self) -> list[Record]:
        """Let all finish what they have begun; all records."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE + 5)
            assert not thread.is_alive(), "a client hangs"
        return self.records

    def _shop(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        connection = Connection(self.url)
        pause = self.clients / self.rate if self.rate else 0.0
        due = time.monotonic() + pause * number / self.clients
        for wish in self.basket.wishes(f"storm-{self.seed}-{number}", chance):
            if self._over.wait(max(0.0, due - time.monotonic())):
                break
            record = connection.buy(wish)
            self.records.append(record)
            due = max(due + pause, record.end)
            if not record.status:
                self._over.wait(0.05)  # a front end that is down refuses at once
        connection.close()


def at_once(url: str, wishes: Sequence[Wish]) -> list[Record]:
    """All at the same moment, each over its own connection; records in the order of the wishes."""
    records: dict[int, Record] = {}
    gate = threading.Barrier(len(wishes))

    def buy(place: int, wish: Wish) -> None:
        gate.wait()
        records[place] = Connection(url).buy(wish)

    threads = [threading.Thread(target=buy, args=item, daemon=True) for item in enumerate(wishes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE + 5)
    return [records[place] for place in range(len(wishes))]
