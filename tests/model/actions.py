"""What may happen next, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

from attrs import fields, frozen

from tests.model.rules import Rules, appends
from tests.model.state import Id, Log, State, View, beginning


class Action(NamedTuple):
    """A method of `Rules` and what it is given beside the state."""

    rule: str
    about: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.rule}({', '.join(map(str, self.about))})"


@frozen
class Bounds:
    """How much may happen. `versions` bounds the number of views (None: as many as the epochs allow, which is finitely
    many in a search that renumbers versions, see reduction.py). `registers` and `generations` count what there is at
    the beginning: 1 is no loss."""

    replicas: int = 3
    epochs: int = 3
    entries: int = 2
    wipes: int = 0
    reads: int = 0
    registers: int = 1
    generations: int = 1
    versions: int | None = None

    @property
    def short(self) -> str:
        """What is not the default, for the name of a test."""
        values = {bound.name: getattr(self, bound.name) for bound in fields(Bounds)}
        return ",".join(f"{name}={value}" for name, value in values.items() if value != getattr(Bounds(), name))


def first_states(bounds: Bounds, rules: Rules) -> list[State]:
    """Where the search begins: with the first view stored and told to nobody yet. Where registers are lost it begins
    with empty disks, so that R4 is searched as well."""
    state = beginning(bounds.replicas)
    if bounds.registers > 1:
        return [state]
    for who in range(bounds.replicas):
        state = rules.r5_hear(state, who) or state
    founded = rules.r4_found(state, bounds.replicas - 1)
    assert founded is not None
    return [founded]


def enabled(state: State, bounds: Bounds, rules: Rules) -> Iterator[Action]:
    """Candidates: what the rules forbid among them is left out when they are carried out."""
    yield from of_the_register(state, bounds)
    for who in range(bounds.replicas):
        yield from of_a_replica(state, who, bounds, rules)
        if state.replicas[who].office is not None:
            yield from of_a_leader(state, who, bounds, rules)


def of_the_register(state: State, bounds: Bounds) -> Iterator[Action]:
    stored = state.register.stored
    everyone = range(bounds.replicas)
    if stored is None:
        for who in everyone:
            yield Action("r5_hear", (who,))
        for who in everyone:
            yield Action("r4_found", (who,))
            yield Action("r5_take_over", (who,))
    elif bounds.versions is None or stored.version < bounds.versions:
        more = stored.epoch < bounds.epochs
        for ask in state.asks:
            if more or ask.leader == stored.leader:
                yield Action("r2_accept", (ask,))
        if more:
            for who, _ in stored.in_sync:
                yield Action("r3_replace", (who,))
            if stored.generation + 1 < bounds.generations:
                for who in everyone:
                    yield Action("r6_accept_loss", (who,))
    if state.register.id + 1 < bounds.registers and stored is not None:
        yield Action("lose_register", ())


def subsets(ids: Iterable[Id]) -> Iterator[tuple[Id, ...]]:
    """All but the empty one."""
    known = list(ids)
    for size in range(1, len(known) + 1):
        yield from combinations(known, size)


def of_a_replica(state: State, who: Id, bounds: Bounds, rules: Rules) -> Iterator[Action]:
    replica = state.replicas[who]
    for view in state.told:
        yield Action("v1_take", (who, view))
    for epoch in range(1, bounds.epochs + 1):
        if not rules.v3_current(replica, epoch):
            continue
        leader, log = appends(state, epoch)
        if leader is not None and leader != who:
            for last in range(1, len(log) + 1):
                yield Action("v3_append", (who, epoch, last))
    for epoch in sorted({view.epoch for view in state.told}):
        yield Action("v3_raise", (who, epoch))
    if state.spent.wipes < bounds.wipes:
        yield Action("wipe", (who,))


def of_a_leader(state: State, who: Id, bounds: Bounds, rules: Rules) -> Iterator[Action]:
    replica = state.replicas[who]
    office = replica.office
    assert office is not None
    assert replica.view is not None
    if state.spent.commands < bounds.entries:
        yield Action("l1_propose", (who,))
    for index in range(office.commit + 1, len(replica.log) + 1):
        yield Action("l3_commit", (who, index))
    if rules.may_ask(office):
        for dropped in subsets(member for member, _ in replica.view.in_sync if member != who):
            yield Action("l4_drop", (who, dropped))
        for member in range(bounds.replicas):
            for uuid in range(state.replicas[member].uuid + 1):
                yield Action("l5_join", (who, member, uuid))
            yield Action("l6_hand_over", (who, member, True))
            yield Action("l6_hand_over", (who, member, False))
    if state.spent.reads < bounds.reads:
        yield Action("l7_read", (who,))
    if office.read is not None:
        for other in range(bounds.replicas):
            yield Action("l7_answer", (other, who))
    for kept in range(office.synced, len(replica.log) + 1):
        yield Action("crash", (who, kept))


def carried_out(rules: Rules, state: State, action: Action) -> State | None:
    after: State | None = getattr(rules, action.rule)(state, *action.about)
    return after


# In words ---------------------------------------------------------------------------------------------------------


def told_of(action: Action) -> str:
    """An action as a sentence, for a trace; replicas count from 1 there, uuids are letters."""
    about = action.about
    match action.rule:
        case "r2_accept":
            ask = about[0]
            return f"register accepts {name(ask.sender)}'s Ask at version {ask.version}: {led_by(ask.leader, ask.in_sync)}"
        case "v1_take":
            return f"{name(about[0])} takes {view_text(about[1])}"
        case "v3_append":
            return f"{name(about[0])} takes and acknowledges appends of epoch {about[1]} up to {about[2]}"
        case "l3_commit":
            return f"{name(about[0])} commits up to {about[1]}"
        case "l4_drop":
            return f"{name(about[0])} asks for a view without {', '.join(map(name, about[1]))}"
        case "l5_join":
            return f"{name(about[0])} asks for a view with {disk_name(about[1], about[2])}"
        case "l6_hand_over":
            return f"{name(about[0])} asks for {name(about[1])} to lead" + (", with it in the set" if about[2] else "")
        case "v3_raise":
            return f"{name(about[0])} hears of epoch {about[1]}"
        case "l7_answer":
            return f"{name(about[0])} answers a heartbeat of {name(about[1])}"
        case "crash":
            return f"{name(about[0])} crashes, its disk has {about[1]} entries"
        case _:
            texts = {
                "r5_hear": "register hears {}", "r4_found": "register stores the first view, led by {}",
                "r3_replace": "register appoints {}", "r5_take_over": "register takes over and appoints {}",
                "r6_accept_loss": "operator accepts {} for all",
                "l1_propose": "{} appends a command", "l7_read": "a read comes to {}", "wipe": "{} loses its disk",
                "lose_register": "the register loses its disk",
            }  # fmt: skip
            return texts.get(action.rule, f"{action.rule} {{}}").format(*map(name, about))


def name(who: object) -> str:
    return str(who + 1) if isinstance(who, int) else str(who)


def disk_name(who: Id, uuid: int) -> str:
    return f"{name(who)}{chr(ord('a') + uuid)}"


def led_by(leader: Id, in_sync: tuple[tuple[int, int], ...]) -> str:
    return f"led by {name(leader)}, in sync {{{', '.join(disk_name(*member) for member in in_sync)}}}"


def view_text(view: View) -> str:
    more = (f" register {view.register}" if view.register else "") + (
        f" generation {view.generation}" if view.generation else ""
    )
    return f"view {view.version}{more} (epoch {view.epoch}, {led_by(view.leader, view.in_sync)})"


def log_text(log: Log) -> str:
    return "[" + " ".join(f"{entry.epoch}/{entry.command or '-'}" for entry in log) + "]"


def state_text(state: State) -> str:
    """The state in a line: disks and memory, the stored view, what is committed."""
    parts = []
    for who, replica in enumerate(state.replicas):
        leads = f" leads {replica.term}, committed {replica.office.commit}" if replica.office else ""
        parts.append(f"{disk_name(who, replica.uuid)} {log_text(replica.log)}{leads}")
    stored = state.register.stored
    parts.append(f"stored {view_text(stored)}" if stored else "nothing stored")
    return "; ".join([*parts, f"committed {log_text(tuple(known.entry for known in state.committed))}"])
