"""Whether the store has kept its promises. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import define, field

from toystore.shop.dialects import Promised

BY_LOG = "orders have no numbers here: they were compared, product by product, with the store's log of changes"


@define
class Verdict:
    """What asking for every promised order gave. `wrong` has a sentence for each mismatch, `unanswered` the numbers of
    orders that could not be asked for, `remarks` what else there is to say."""

    verified: int
    wrong: list[str]
    unanswered: list[int | None]
    remarks: list[str] = field(factory=list)

    @property
    def holds(self) -> bool:
        return not self.wrong and not self.unanswered


def sum_up(verdicts: Iterable[Verdict]) -> Verdict:
    """One of several."""
    whole = Verdict(0, [], [])
    for verdict in verdicts:
        whole.verified += verdict.verified
        whole.wrong += verdict.wrong
        whole.unanswered += verdict.unanswered
        whole.remarks += verdict.remarks
    return whole


def judge_by_log(before: Counter[str], after: Counter[str], promised: Iterable[Promised]) -> Verdict:
    """By the units of each product that were ever bought, before the orders and after them.

    Too few are a mismatch. Too many are none: an order whose answer was lost may have been carried out, and other
    customers may have bought too.
    """
    verdict = Verdict(0, [], [], [BY_LOG])
    units: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    for order in promised:
        units[order.name] += order.quantity
        orders[order.name] += 1
    for name, count in units.items():
        logged = after[name] - before[name]
        if logged < count:
            verdict.wrong.append(f"{count} of {name} were promised, and the store's log has {logged}")
        else:
            verdict.verified += orders[name]
    more = sum((after - before - units).values())
    if more:
        verdict.remarks.append(
            f"the log has {more} more than were promised: bought by others, or with an answer that was lost"
        )
    return verdict
