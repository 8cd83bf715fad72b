"""What customers may see of products: never older than design 1.3 says, and never what was not so.

Told of every change that a ledger carries out, of what is acknowledged through which front end, and of each lookup when it
begins and when it is answered. Times are in seconds, positions are indexes of the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from tests.simulation.checkers import Violation
from toystore.model import Product
from toystore.web.interface import FeedBeat, FeedChange, FeedLine, FeedReset, FeedStart

MAX_AGE = 3.0
"""Seconds: what is not marked with its age may be no older."""
CLOCKS = 1.1
"""Clocks may run so much faster than others."""


@frozen
class Asked:
    """A lookup as it begins: `session` is what was acknowledged through this front end by product, `pushed` what the feed
    has told it (`pushed_all`: of all products); `highest` is what it has shown or acknowledged in all; the answer must be as
    of `at_least`; `acknowledged` is the highest index that anybody was told of."""

    front: str
    at: float
    session: Mapping[str, int]
    pushed: Mapping[str, int]
    pushed_all: int
    highest: int
    at_least: int
    acknowledged: int


class Staleness:
    """`slack` is how many seconds messages may be under way, and processes stand still, in this run."""

    def __init__(self, slack: float) -> None:
        self._slack = slack
        self._history: dict[str, list[Product]] = {}
        self._known = 0
        self._acknowledged: list[tuple[float, int]] = []
        self._session: dict[str, dict[str, int]] = {}
        self._pushed: dict[str, dict[str, int]] = {}
        self._pushed_all: dict[str, int] = {}
        self._highest: dict[str, int] = {}

    # What is so

    def changed(self, index: int, products: Sequence[Product]) -> None:
        """A ledger has carried out the entry at `index`; these are the products as it left them."""
        if index > self._known:
            self._known = index
            for product in products:
                if product.version == index:  # else it is the outcome of an earlier entry, told again
                    self._history.setdefault(product.name, []).append(product)

    def truth(self, name: str, index: int) -> Product | None:
        """The product as of this index; None where there was none yet."""
        versions = self._history.get(name, [])
        count = bisect_right(versions, index, key=lambda product: product.version)
        return versions[count - 1] if count else None

    # What customers know

    def acknowledged(self, front: str, now: float, index: int, names: Sequence[str]) -> None:
        """A customer of this front end was told that these products have changed at `index`."""
        if index > self.last_acknowledged:
            self._acknowledged.append((now, index))
        session = self._session.setdefault(front, {})
        for name in names:
            session[name] = max(session.get(name, 0), index)
        self._heard(front, index)

    def _heard(self, front: str, index: int) -> None:
        """A front end knows that this index exists: it has given an answer of it."""
        self._highest[front] = max(self._highest.get(front, 0), index)

    def pushed(self, front: str, line: FeedLine) -> None:
        """The feed has told it this."""
        match line:
            case FeedChange(position, names):
                known = self._pushed.setdefault(front, {})
                known.update((name, max(known.get(name, 0), position.index)) for name in names)
            case FeedStart(position) | FeedReset(position):
                self._pushed_all[front] = max(self._pushed_all.get(front, 0), position.index)

    @property
    def last_acknowledged(self) -> int:
        return self._acknowledged[-1][1] if self._acknowledged else 0

    def asks(self, front: str, now: float, at_least: int = 0) -> Asked:
        session = dict(self._session.get(front, {}))
        pushed = dict(self._pushed.get(front, {}))
        every = self._pushed_all.get(front, 0)
        return Asked(front, now, session, pushed, every, self._highest.get(front, 0), at_least, self.last_acknowledged)

    def _due(self, asked: Asked, age: float | None) -> int:
        """What an answer with this mark must include (0: there is no mark; None: not known), whoever was told of it."""
        if age is None:
            return 0
        since = asked.at - CLOCKS * max(MAX_AGE, age) - self._slack
        count = bisect_right(self._acknowledged, since, key=lambda told: told[0])
        return self._acknowledged[count - 1][1] if count else 0

    def changed_since(self, index: int, until: int) -> Iterator[Product]:
        """The latest version of each product that has changed after `index`, as of `until`."""
        for name in self._history:
            product = self.truth(name, until)
            if product is not None and product.version > index:
                yield product

    # Answers

    def product(self, asked: Asked, product: Product, asof: int, age: float | None) -> None:
        """A lookup was answered with it, read at `asof`; `age` 0: not marked."""
        name = product.name
        self._heard(asked.front, asof)
        self._is_true(asked, product, asof)
        if asof < asked.at_least:
            raise Violation(f"{asked.front}: {name} as of {asof}, and {asked.at_least} was asked for")
        if age == 0 and product.version < asked.session.get(name, 0):
            raise Violation(
                f"{asked.front} shows {name} of {product.version}, as of {asof}; one of its customers was told of"
                f" {asked.session[name]} before"
            )
        told = self.truth(name, max(asked.pushed.get(name, 0), asked.pushed_all))
        if age == 0 and told is not None and product.version < told.version:
            raise Violation(
                f"{asked.front} shows {name} of {product.version}, as of {asof}; its feed told of {told.version}"
            )
        due = self._due(asked, age)
        latest = self.truth(name, due)
        if latest is not None and product.version < latest.version:
            raise Violation(
                f"{asked.front} shows {name} of {product.version}, as of {asof}, age {age}; {latest.version} was"
                f" acknowledged more than {MAX_AGE} s and {self._slack:.1f} s before"
            )

    def no_product(self, asked: Asked, name: str, unmarked: bool) -> None:
        """A lookup was answered with: there is none of this name."""
        if name in asked.session:
            raise Violation(f"{asked.front} knows no {name}, and one of its customers was told of {asked.session[name]}")
        created = self.truth(name, asked.highest)
        if created is not None:
            raise Violation(
                f"{asked.front} knows no {name}, which was there at {created.version}; it had shown {asked.highest}"
            )
        created = self.truth(name, self._due(asked, 0.0))
        if unmarked and created is not None:
            raise Violation(f"{asked.front} knows no {name}, which was there at {created.version}, long ago")

    def products(self, asked: Asked, products: Sequence[Product], asof: int, age: float | None) -> None:
        """All products, by number."""
        self._heard(asked.front, asof)
        for product in products:
            self._is_true(asked, product, asof)
        there = {name for name in self._history if self.truth(name, asof) is not None}
        listed = [product.name for product in products]
        if set(listed) != there or [product.number for product in products] != sorted({p.number for p in products}):
            raise Violation(f"{asked.front} lists {listed} as of {asof}; there are {sorted(there)}")
        least = max(asked.at_least, asked.highest if age == 0 else 0, self._due(asked, age))
        if asof < least:
            raise Violation(f"{asked.front} lists products as of {asof}, age {age}; it should be {least}")

    def linearizable(self, asked: Asked, product: Product | None, name: str, asof: int) -> None:
        self._heard(asked.front, asof)
        if asof < asked.acknowledged:
            raise Violation(f"{asked.front}: a linearizable read sees {asof}; {asked.acknowledged} was acknowledged")
        if product != self.truth(name, asof):
            raise Violation(f"{asked.front}: {name} is {self.truth(name, asof)} at {asof}, not {product}")

    def _is_true(self, asked: Asked, product: Product, asof: int) -> None:
        true = self.truth(product.name, asof)
        if product != true:
            raise Violation(f"{asked.front} shows {product} as of {asof}; it was {true} then")


class Told:
    """What one feed has said, against what its catalog has applied: by the time of a heartbeat all of it is told."""

    def __init__(self, truth: Staleness) -> None:
        self._truth = truth
        self._all = 0
        self._names: dict[str, int] = {}

    def line(self, catalog: str, line: FeedLine, applied: int) -> None:
        """The catalog writes it, and has applied everything up to `applied`."""
        match line:
            case FeedStart(position) | FeedReset(position):
                self._all = max(self._all, position.index)
            case FeedChange(position, names):
                self._names.update((name, max(self._names.get(name, 0), position.index)) for name in names)
            case FeedBeat():
                for product in self._truth.changed_since(self._all, applied):
                    if self._names.get(product.name, 0) < product.version:
                        raise Violation(
                            f"{catalog} has applied {applied}, and its feed has not told that {product.name} changed at"
                            f" {product.version}"
                        )
