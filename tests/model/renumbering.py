"""Versions without gaps, and replicas in one order (reductions 1 and 2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tests.model.rules import names
from tests.model.state import Ask, Id, Members, Replica, State, View

# Versions without gaps (2) ------------------------------------------------------------------------------------------


def renumbered(state: State) -> State:
    versions = {view.version for view in state.told}
    versions |= {ask.version for ask in state.asks}
    if state.register.stored is not None:
        versions.add(state.register.stored.version)
    for replica in state.replicas:
        if replica.view is not None:
            versions.add(replica.view.version)
        if replica.office is not None and replica.office.asked is not None:
            versions.add(replica.office.asked.version)
    if max(versions) == len(versions):
        return state
    new = {version: rank for rank, version in enumerate(sorted(versions), 1)}
    register = state.register
    if register.stored is not None:
        register = register._replace(stored=register.stored._replace(version=new[register.stored.version]))
    return state._replace(
        register=register,
        told=tuple(view._replace(version=new[view.version]) for view in state.told),
        asks=tuple(ask._replace(version=new[ask.version]) for ask in state.asks),
        replicas=tuple(_with_versions(replica, new) for replica in state.replicas),
    )


def _with_versions(replica: Replica, new: dict[int, int]) -> Replica:
    if replica.view is not None:
        replica = replica._replace(view=replica.view._replace(version=new[replica.view.version]))
    office = replica.office
    if office is not None and office.asked is not None:
        asked = office.asked._replace(version=new[office.asked.version])
        replica = replica._replace(office=office._replace(asked=asked))
    return replica


# Replicas in one order (1) ------------------------------------------------------------------------------------------


def in_order(state: State) -> State:
    """The replicas sorted by what can be said of each without naming another. Ties may leave states apart that could be
    one: that costs time, and is no error."""
    marks: list[tuple[Any, ...]] = [(replica.log, replica.term, replica.uuid) for replica in state.replicas]
    if len(set(marks)) < len(marks):
        marks = [(*mark, *_mark(state, who)) for who, mark in enumerate(marks)]
    order = sorted(range(len(marks)), key=marks.__getitem__)
    if order == list(range(len(marks))):
        return state
    place = [0] * len(order)
    for new, old in enumerate(order):
        place[old] = new
    return renamed(state, tuple(place))


def _mark(state: State, who: Id) -> tuple[Any, ...]:
    replica = state.replicas[who]
    stored = state.register.stored
    offices = sorted((other for other in state.replicas if other.office is not None), key=lambda other: other.term)
    return (
        replica.office is not None,
        () if replica.view is None else (replica.view.place, replica.view.leader == who, names(replica.view.in_sync, who)),
        () if stored is None else (stored.leader == who, names(stored.in_sync, who)),
        [_seen_by(leader, who) for leader in offices],
        [(view.leader == who, names(view.in_sync, who)) for view in state.told],
        [ended.leader == who for ended in state.ended],
        replica.promised,
    )


def _seen_by(leader: Replica, who: Id) -> tuple[Any, ...]:
    """What a leader holds of it."""
    office, view = leader.office, leader.view
    assert office is not None
    assert view is not None
    asked = office.asked
    return (
        [(uuid, index) for member, uuid, index in office.acks if member == who],
        [uuid for member, uuid in view.in_sync if member == who],
        [] if asked is None else [asked.leader == who, *(uuid for member, uuid in asked.in_sync if member == who)],
    )


def renamed(state: State, place: tuple[int, ...]) -> State:
    """Replica `who` is called `place[who]`."""
    replicas = list(state.replicas)
    for who, replica in enumerate(state.replicas):
        replicas[place[who]] = _renamed_replica(replica, place)
    heard = list(state.register.heard)
    for who, answer in enumerate(state.register.heard):
        heard[place[who]] = answer and answer._replace(view=answer.view and _renamed_view(answer.view, place))
    stored = state.register.stored
    register = state.register._replace(stored=stored and _renamed_view(stored, place), heard=tuple(heard))
    return state._replace(
        register=register,
        replicas=tuple(replicas),
        told=tuple(_renamed_view(view, place) for view in state.told),
        asks=tuple(sorted(_renamed_ask(ask, place) for ask in state.asks)),
        ended=tuple(sorted(office._replace(leader=place[office.leader]) for office in state.ended)),
    )


@lru_cache(maxsize=1 << 16)
def _renamed_replica(replica: Replica, place: tuple[int, ...]) -> Replica:
    office = replica.office
    if office is not None:
        acks = tuple(sorted((place[who], uuid, index) for who, uuid, index in office.acks))
        asked = office.asked and _renamed_ask(office.asked, place)
        read = office.read and office.read._replace(answered=_renamed_members(office.read.answered, place))
        office = office._replace(acks=acks, asked=asked, read=read)
    return replica._replace(view=replica.view and _renamed_view(replica.view, place), office=office)


@lru_cache(maxsize=1 << 16)
def _renamed_view(view: View, place: tuple[int, ...]) -> View:
    return view._replace(leader=place[view.leader], in_sync=_renamed_members(view.in_sync, place))


@lru_cache(maxsize=1 << 16)
def _renamed_ask(ask: Ask, place: tuple[int, ...]) -> Ask:
    in_sync = _renamed_members(ask.in_sync, place)
    return ask._replace(sender=place[ask.sender], leader=place[ask.leader], in_sync=in_sync)


def _renamed_members(members: Members, place: tuple[int, ...]) -> Members:
    return tuple(sorted((place[who], uuid) for who, uuid in members))
