"""What the figures of a sweep say, in sentences. Pure; every number in them is a measured one."""

from __future__ import annotations

from collections.abc import Iterator

from toystore.shop.sweep.results import (
    HIT,
    MISS,
    OWN_WRITE,
    READ_AFTER_OTHER,
    READ_AFTER_OWN,
    READ_AGAIN,
    CacheStudy,
    Results,
)
from toystore.shop.sweep.timeline import replacements
from toystore.shop.tally import KINDS

PLURALS = {"lookup": "lookups", "buy": "buys", "order query": "order queries"}


def saving(cached: float, uncached: float) -> float:
    """How much less the first is, in percent of the second; negative where it is more."""
    return 100 * (uncached - cached) / uncached


def a(kind: str) -> str:
    """The kind of a request, with its article."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _compared(cached: float, uncached: float) -> str:
    """`1.20 ms with the cache and 2.40 ms without it, 50.0 % less`."""
    less = saving(cached, uncached)
    difference = f"{abs(less):.1f} % {'less' if less >= 0 else 'more'}"
    return f"{cached:.2f} ms with the cache and {uncached:.2f} ms without it, {difference}"


def benefit(results: Results) -> Iterator[str]:
    """The cache's benefit for each kind of request, over all probabilities (row B5)."""
    both = set(results.plan.caches) == {True, False}
    for kind in KINDS:
        means = {cache: _mean(results, cache, kind) for cache in results.plan.caches}
        known = {cache: mean for cache, mean in means.items() if mean is not None}
        if len(known) == 2:
            yield f"On average over all probabilities, {a(kind)} took {_compared(known[True], known[False])}."
        for cache, mean in known.items() if not both else ():
            yield f"On average over all probabilities, {a(kind)} took {mean:.2f} ms {_with(cache)} the cache."
    if both:
        yield "Only lookups go through the cache. What differs for the others is chance, or what lookups left to them."
    hits = sum(found.counted.hits for found in results.rounds if found.cache)
    lookups = hits + sum(found.counted.misses for found in results.rounds if found.cache)
    if lookups:
        share = 100 * hits / lookups
        yield (
            f"With room for {results.plan.cache_size} of {results.setting.products} products, "
            f"{hits} of {lookups} lookups were hits ({share:.1f} %)."
        )


def _mean(results: Results, cache: bool, kind: str) -> float | None:
    """Of all requests of the kind, in milliseconds; None where there were none."""
    found = [latency for each in results.rounds if each.cache is cache and (latency := each.latency[kind]) is not None]
    return sum(each.count * each.avg for each in found) / sum(each.count for each in found) if found else None


def _with(cache: bool) -> str:
    return "with" if cache else "without"


def hit_or_miss(study: CacheStudy) -> Iterator[str]:
    """Row K8."""
    hit, miss = study.exercises[HIT], study.exercises[MISS]
    yield (
        f"A hit took {hit.latency.avg:.2f} ms and a miss {miss.latency.avg:.2f} ms on average. "
        f"Percent speed up: {saving(hit.latency.avg, miss.latency.avg):.2f}"
    )
    yield (
        f"While one product was looked up {hit.latency.count} times, the front end counted {hit.counted.hits} hits and "
        f"{hit.counted.misses} misses; while all products were looked up in turn, "
        f"{miss.latency.count} times, {miss.counted.hits} hits and {miss.counted.misses} misses: the least recently used "
        "product, which is replaced, is always the one that will be asked for next."
    )


def after_writes(study: CacheStudy) -> Iterator[str]:
    """The penalty of a miss after a write (row B6)."""
    found = study.after_writes
    penalty = found[READ_AFTER_OTHER].avg - found[READ_AGAIN].avg
    yield (
        f"A write took {found[OWN_WRITE].avg:.2f} ms, and reading what was written, through the same front end, "
        f"{found[READ_AFTER_OWN].avg:.2f} ms: the answer to the write has the new row of the product, which the front end "
        "puts into its cache."
    )
    yield (
        f"A product that was written through another front end is pushed out of the cache: the first read after that took "
        f"{found[READ_AFTER_OTHER].avg:.2f} ms, the second one {found[READ_AGAIN].avg:.2f} ms. "
        f"The miss penalty is {penalty:.2f} ms."
    )


def contents(study: CacheStudy) -> Iterator[str]:
    """Rows K7 and B7."""
    story = study.slots
    if not story.events:
        yield "Nothing came into the cache while it was watched."
        return
    filled = [event for event in story.events if event.event == "filled"]
    replaced = sum(event.replaced is not None for event in filled)
    yield (
        f"In {story.events[-1].at - story.events[0].at:.1f} s, {len(filled)} products came into the {story.capacity} slots; "
        f"{replaced} of them took the place of the product that had not been used for longest, the others that of one "
        "which had changed, or an empty slot."
    )
    pairs = replacements(story)
    if pairs:
        (old, new), count = next(iter(pairs.items()))
        yield f"{len(pairs)} different pairs were seen; the most frequent is {new} in place of {old}, {count} times."


def in_bulk(results: Results) -> Iterator[str]:
    """What the cache, a second catalog and sending concurrently came to (row B6)."""
    found = {(bulk.cache, bulk.catalogs, bulk.clients, bulk.kind): bulk for bulk in results.bulks}
    most = max((bulk.catalogs for bulk in results.bulks), default=0)
    crowd = max((bulk.clients for bulk in results.bulks), default=0)
    cache = results.plan.caches[-1]
    cached, uncached = found.get((True, most, 1, "lookup")), found.get((False, most, 1, "lookup"))
    if cached is not None and uncached is not None:
        took = _compared(cached.latency.avg, uncached.latency.avg)
        yield f"One after the other, with {most} catalogs, a lookup took {took}."
    for kind in dict.fromkeys(bulk.kind for bulk in results.bulks):
        alone, together = found.get((cache, most, 1, kind)), found.get((cache, most, crowd, kind))
        if alone is not None and together is not None and crowd > 1:
            yield (
                f"{PLURALS[kind].capitalize()} {_with(cache)} the cache, {most} catalogs: {together.rate:.0f} a second by "
                f"{crowd} customers at once, {alone.rate:.0f} a second by one."
            )
    few, many = (found.get((cache, catalogs, crowd, "lookup")) for catalogs in (1, most))
    if few is not None and many is not None and most > 1:
        yield (
            f"Lookups {_with(cache)} the cache by {crowd} customers at once: {few.rate:.0f} a second from a store with one "
            f"catalog, {many.rate:.0f} from one with {most}. The two stores ran beside one another and took turns."
        )


def failover(results: Results) -> Iterator[str]:
    """Row B7."""
    found = results.failover
    longest = found.longest
    yield (
        f"{found.leader} was killed {found.killed - found.began:.1f} s after the customers came, and started again "
        f"{found.started - found.killed:.1f} s later; "
        + (f"{found.successor} leads since." if found.successor not in (None, found.leader) else "no other leader was seen.")
    )
    if longest is not None:
        after = longest.at - found.killed
        yield (
            f"Of {len(found.answers)} requests {found.failed or 'none'} failed. The longest wait was "
            f"{1000 * longest.seconds:.0f} ms, of {a(longest.kind)} that was sent {abs(after):.2f} s "
            f"{'after' if after >= 0 else 'before'} the kill. The longest time without a new order was "
            f"{1000 * found.silence:.0f} ms."
        )


def verdict(results: Results) -> str:
    if results.wrong:
        return f"{len(results.wrong)} orders were NOT as they were promised: {'; '.join(results.wrong[:5])}"
    return f"All {results.verified} orders of customers who went shopping were asked for, and were as promised."
