"""More of what must never happen, told by what clients and ledgers see. As `checkers`: one small class for each promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from tests.simulation.checkers import Violation
from toystore.consensus.messages import NodeId
from toystore.model import Order, Outcome, Product


class OneOutcome:
    """A request has one outcome, however often it is carried out (design 1.1: the ledger remembers it)."""

    def __init__(self) -> None:
        self._outcomes: dict[str, tuple[int, Outcome]] = {}

    def applied(self, node: str, index: int, request_id: str, outcome: Outcome) -> None:
        at, known = self._outcomes.setdefault(request_id, (index, outcome))
        if known != outcome:
            raise Violation(
                f"{node}: request {request_id!r} came to {known} at index {at}, and to {outcome} at index {index}"
            )


class Kites:
    """Adjustments are carried out once, if they were acknowledged, and never, if they were refused or turned away.

    Each adjustment of a product is by another power of two, so that its stock tells which of them came, and how often.
    """

    MOST = 50
    """Adjustments of one product: 2^50 is below the bound of a quantity."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}
        self._told: dict[tuple[str, int], bool] = {}

    def next_delta(self, name: str) -> int | None:
        """A new one for this product; None where there are no more."""
        count = self._sent.get(name, 0)
        if count == self.MOST:
            return None
        self._sent[name] = count + 1
        return 1 << count

    def told(self, name: str, delta: int, carried_out: bool) -> None:
        self._told[name, delta] = carried_out

    def stock(self, quantities: Mapping[str, int]) -> None:
        """What there is of them at the end, where there was none at the beginning."""
        for name, quantity in quantities.items():
            if quantity >> self._sent.get(name, 0):
                raise Violation(f"the stock of {name!r} is {quantity:b}; only {self._sent.get(name, 0)} were sent")
            for (told, delta), carried_out in self._told.items():
                if told == name and bool(quantity & delta) != carried_out:
                    was = "was acknowledged and is not" if carried_out else "was not carried out, it was said, and is"
                    raise Violation(f"the adjustment of {name!r} by {delta} {was} in its stock of {quantity:b}")


class LeadersAreHeard:
    """Check-quorum: a leader that a majority has not answered for long leads no more (design 3: within one election
    timeout; twice that is allowed here, for what is under way)."""

    def __init__(self, voters: int, bound: float) -> None:
        self._majority, self._bound = voters // 2 + 1, bound
        self._answers: dict[NodeId, dict[NodeId, float]] = {}

    def answered(self, leader: NodeId, voter: NodeId, now: float) -> None:
        self._answers.setdefault(leader, {})[voter] = now

    def began(self, leader: NodeId) -> None:
        """Its time in office begins, or it begins to run again."""
        self._answers.pop(leader, None)

    def leads(self, leader: NodeId, since: float, now: float) -> None:
        """It has led, and run, since then."""
        others = sorted(self._answers.get(leader, {}).values(), reverse=True)
        needed = self._majority - 1
        last = max(since, others[needed - 1] if len(others) >= needed > 0 else since) if needed else now
        if now - last > self._bound:
            raise Violation(f"{leader} still leads, and no majority has answered it for {now - last:.3f} s")


def check_times(orders: Sequence[Order]) -> None:
    """`at` never goes backwards (design 1.1)."""
    for before, after in pairwise(orders):
        if after.at < before.at:
            raise Violation(f"order {after.number} is of {after.at}, and order {before.number}, before it, of {before.at}")


def kites(products: Sequence[Product]) -> dict[str, int]:
    """The stock of those that are adjusted, and not ordered."""
    return {product.name: product.quantity for product in products if product.name.startswith("Kite")}
