"""Which product sat in which slot of the cache, from when to when, and what ended it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import frozen

from toystore.shop.sweep.results import SlotEvent, SlotStory

REPLACED, CHANGED = "replaced", "changed"


@frozen
class Stay:
    """A product in a slot, in seconds from the first event; `ended` is REPLACED (by another product, which needed the
    slot), CHANGED (the product had changed) or None (it stayed)."""

    slot: int
    name: str
    begin: float
    end: float
    ended: str | None


def stays(story: SlotStory) -> list[Stay]:
    """By slot, then by time."""
    if not story.events:
        return [Stay(slot, name, 0.0, 0.0, None) for slot, name in sorted(story.first.items())]
    zero = story.events[0].at
    present: dict[int, tuple[str, float]] = {slot: (name, 0.0) for slot, name in story.first.items()}
    found: list[Stay] = []

    def leave(event: SlotEvent, ended: str) -> None:
        if event.slot in present:
            name, begin = present.pop(event.slot)
            found.append(Stay(event.slot, name, begin, event.at - zero, ended))

    for event in story.events:
        if event.event == "filled":
            leave(event, REPLACED)
            present[event.slot] = (event.name, event.at - zero)
        else:
            leave(event, CHANGED)
    last = story.events[-1].at - zero
    found += [Stay(slot, name, begin, last, None) for slot, (name, begin) in present.items()]
    return sorted(found, key=lambda stay: (stay.slot, stay.begin))


def replacements(story: SlotStory) -> Mapping[tuple[str, str], int]:
    """How often which product (the second) took the place of which, the most frequent first."""
    pairs = Counter((event.replaced, event.name) for event in story.events if event.replaced is not None)
    return {(old, new): count for (old, new), count in pairs.most_common() if old is not None}
