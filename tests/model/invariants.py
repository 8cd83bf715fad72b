"""What must hold in every state, and from each state to the next. A check gives what is wrong, or None."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest

from tests.model.rules import Rules
from tests.model.state import Log, State, common

RULES = Rules()
"""Who must be waited for is asked of the rules as they should be, also while a mutant is searched."""


def one_leader_an_epoch(state: State) -> str | None:
    epochs = [replica.term for replica in state.replicas if replica.office is not None]
    return "two lead one epoch" if len(epochs) != len(set(epochs)) else None


def views_in_one_order(state: State) -> str | None:
    """Views have one order, nobody has a view that is not stored, and no epoch has two leaders in them."""
    stored = state.register.stored
    if len({(view.register, view.place) for view in state.told}) != len(state.told):
        return "two views of one version"
    if stored is not None:
        for replica in state.replicas:
            view = replica.view
            if view is not None and view.register == stored.register and view.place > stored.place:
                return "a replica holds a view that is not stored"
    return None


def leads_by_its_own_disk(state: State) -> str | None:
    """A wiped disk counts for nothing: whoever leads is named by its view under its uuid."""
    for who, replica in enumerate(state.replicas):
        if replica.office is not None and (replica.view is None or (who, replica.uuid) not in replica.view.in_sync):
            return "a disk that its view does not name leads"
    return None


def committed_is_on_every_disk_in_sync(state: State) -> str | None:
    """Each member of the stored view has, under its uuid there, everything committed."""
    stored = state.register.stored
    if stored is None:
        return None
    committed = tuple([known.entry for known in state.committed])
    for who, uuid in stored.in_sync:
        replica = state.replicas[who]
        if replica.uuid == uuid and replica.disk[: len(committed)] != committed:
            return "a member of the stored in-sync set lacks a committed entry"
    return None


def later_leaders_have_what_is_committed(state: State) -> str | None:
    """Whoever leads has what was committed in its epoch and those before."""
    for replica in state.replicas if state.committed else ():
        if replica.office is not None and not older(state, replica.view):
            entries = committed_by(state, replica.term)
            if replica.log[: len(entries)] != entries:
                return "a leader lacks a committed entry"
    return None


def committed_by(state: State, epoch: int) -> Log:
    """What leaders up to this epoch committed."""
    return tuple([known.entry for known in state.committed if known.at <= epoch])


def older(state: State, view: object) -> bool:
    """Of a generation that an operator gave up?"""
    stored = state.register.stored
    return stored is not None and view is not None and view.generation < stored.generation  # type: ignore[attr-defined]


def logs_match(state: State) -> str | None:
    """Where two logs have an entry of one epoch at one index, they are the same up to there (Raft 5.3)."""
    logs = [replica.log for replica in state.replicas] + [ended.log for ended in state.ended]
    for i, log in enumerate(logs):
        for other in logs[:i]:
            if log is not other and not match(log, other):
                return "two logs differ below an entry that they share"
    return None


@lru_cache(maxsize=1 << 16)
def match(log: Log, other: Log) -> bool:
    last = max((i for i, (a, b) in enumerate(zip(log, other, strict=False), 1) if a.epoch == b.epoch), default=0)
    return log[:last] == other[:last]


def reads_are_fresh(state: State, rules: Rules) -> str | None:
    """A read that may be shown now has everything that was committed when it came."""
    for who, replica in enumerate(state.replicas):
        read = None if replica.office is None else replica.office.read
        if read is not None and read.shows < read.due and rules.l7_confirmed(state, who):
            return "a stale read is confirmed"
    return None


def committed_by_everyone_waited_for(state: State) -> str | None:
    """What a leader committed is on the disk of everyone that its views name, but for disks that are no more."""
    for replica in state.replicas:
        if replica.office is None or replica.office.commit == 0 or older(state, replica.view):
            continue
        newly = replica.log[: replica.office.commit]
        for member, uuid in RULES.l2_waits_for(replica):
            other = state.replicas[member]
            if other.uuid == uuid and other.disk[: len(newly)] != newly:
                return "a leader committed without a disk that it must wait for"
    return None


IN_STATE: tuple[Callable[[State], str | None], ...] = (
    one_leader_an_epoch,
    committed_is_on_every_disk_in_sync,
    later_leaders_have_what_is_committed,
    logs_match,
)
INNER: tuple[Callable[[State], str | None], ...] = (
    views_in_one_order,
    leads_by_its_own_disk,
    committed_by_everyone_waited_for,
)
"""How the rules see to it. Of a mutant we want to know what harm it does, not that it is a mutant."""


def commits_agree(before: State, after: State) -> str | None:
    """What is committed only grows, within a generation."""
    if generation(before) != generation(after):
        return None
    for known, now in zip_longest(before.committed, after.committed[: len(before.committed)]):
        if now is None or known.entry != now.entry:
            return "two entries committed at one index"
    return None


def generation(state: State) -> int | None:
    return None if state.register.stored is None else state.register.stored.generation


def disks_keep_what_is_committed(before: State, after: State) -> str | None:
    """A disk that has an entry, which was committed in the epoch of the disk or one before, keeps it until it is wiped."""
    for mine, next_ in zip(before.replicas, after.replicas, strict=True):
        if mine.log is not next_.log and mine.uuid == next_.uuid and before.committed:
            entries = committed_by(before, next_.term)
            if common(next_.disk, entries) < common(mine.disk, entries):
                return "a committed entry is truncated"
    return None


def epochs_are_led_once(before: State, after: State) -> str | None:
    """Whoever begins to lead finds no entry of its epoch anywhere."""
    for mine, next_ in zip(before.replicas, after.replicas, strict=True):
        if next_.office is not None and (mine.office is None or mine.term != next_.term):
            logs = [replica.log for replica in before.replicas] + [ended.log for ended in before.ended]
            if any(log and log[-1].epoch >= next_.term and any(e.epoch == next_.term for e in log) for log in logs):
                return "an epoch is led a second time"
    return None


BETWEEN: tuple[Callable[[State, State], str | None], ...] = (
    commits_agree,
    disks_keep_what_is_committed,
    epochs_are_led_once,
)


def broken(before: State, after: State, rules: Rules, inner: bool = True) -> str | None:
    """What is wrong with a state, or with how it came to be under these rules."""
    for between in BETWEEN:
        wrong = between(before, after)
        if wrong is not None:
            return wrong
    for check in (*IN_STATE, *INNER) if inner else IN_STATE:
        wrong = check(after)
        if wrong is not None:
            return wrong
    return reads_are_fresh(after, rules)
