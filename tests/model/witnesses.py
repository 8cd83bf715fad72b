"""What a search must meet: a model in which nothing happens has no errors either.

A witness looks at a step: the state before, the action, the state after.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.model.actions import Action
from tests.model.state import Replica, State, agreed

Witness = Callable[[State, Action, State], bool]


def leader_of(action: Action, after: State) -> Replica:
    leader: Replica = after.replicas[action.about[0]]
    return leader


def commit_in(epoch: int) -> Witness:
    """An entry is committed by the leader of that epoch."""
    return lambda before, action, after: action.rule == "l3_commit" and leader_of(action, after).term == epoch


def commits_of(commands: int) -> Witness:
    """So many commands are committed, with the no-ops before them."""
    return lambda before, action, after: sum(known.entry.command > 0 for known in after.committed) == commands


def late_commit(before: State, action: Action, after: State) -> bool:
    """A leader that has been replaced commits what everyone waited for has."""
    stored = after.register.stored
    late = action.rule == "l3_commit" and stored is not None and leader_of(action, after).term < stored.epoch
    return late and len(after.committed) > len(before.committed)


def drop(before: State, action: Action, after: State) -> bool:
    """A leader takes the view without a member that it asked for."""
    return set_grew(before, action, after) < 0


def join(before: State, action: Action, after: State) -> bool:
    """A leader takes the view with one more that it asked for."""
    return set_grew(before, action, after) > 0


def set_grew(before: State, action: Action, after: State) -> int:
    if action.rule != "v1_take":
        return 0
    old, new = before.replicas[action.about[0]], leader_of(action, after)
    if old.office is None or new.office is None or old.term != new.term or old.view is None or new.view is None:
        return 0
    return len(new.view.in_sync) - len(old.view.in_sync)


def hand_over(before: State, action: Action, after: State) -> bool:
    """The register accepts an Ask for another leader."""
    return action.rule == "r2_accept" and action.about[0].leader != action.about[0].sender


def overtaken_ask(before: State, action: Action, after: State) -> bool:
    """The view that an Ask names is replaced while it is under way: it will be refused."""
    stored = before.register.stored
    if action.rule != "r3_replace" or stored is None:
        return False
    return any(ask.version == stored.version for ask in before.asks)


def alone(before: State, action: Action, after: State) -> bool:
    """After a failover a replica alone commits."""
    if action.rule != "l3_commit":
        return False
    leader = leader_of(action, after)
    return leader.term > 1 and leader.view is not None and len(leader.view.in_sync) == 1


def dead_on_arrival(before: State, action: Action, after: State) -> bool:
    """A replica alone commits and nobody else ever had an entry."""
    return alone(before, action, after) and sum(bool(replica.log) for replica in after.replicas) == 1 and not after.ended


def lost_in_memory(before: State, action: Action, after: State) -> bool:
    """A leader ends with an entry that others have and its own disk has not."""
    if action.rule != "crash":
        return False
    crashed = leader_of(action, after)
    return any(agreed(crashed.log, other.log) == len(crashed.log) < len(other.log) for other in after.replicas)


def truncation(before: State, action: Action, after: State) -> bool:
    """A follower drops an entry that its leader has not."""
    if action.rule != "v3_append":
        return False
    old, new = before.replicas[action.about[0]], leader_of(action, after)
    return agreed(old.log, new.log) < len(old.log)


def late_office(before: State, action: Action, after: State) -> bool:
    """A replica begins to lead an epoch when the next is appointed already."""
    stored = after.register.stored
    leads = action.rule == "v1_take" and leader_of(action, after).office is not None
    return leads and stored is not None and action.about[1].epoch < stored.epoch


def wiped_joins(before: State, action: Action, after: State) -> bool:
    """A disk that replaced another is in sync again."""
    return action.rule == "r2_accept" and any(uuid > 0 for _, uuid in action.about[0].in_sync)


def take_over(before: State, action: Action, after: State) -> bool:
    """A register without views goes on from those that replicas remember."""
    return action.rule == "r5_take_over"


def loss_accepted(before: State, action: Action, after: State) -> bool:
    """A replica that an operator let stand for all commits in a new generation."""
    view = leader_of(action, after).view if action.rule == "l3_commit" else None
    return view is not None and view.generation > 0


def fresh_read(before: State, action: Action, after: State) -> bool:
    """Another replica answers for a read."""
    return action.rule == "l7_answer"


ALWAYS: dict[str, Witness] = {
    witness.__name__: witness
    for witness in (
        late_commit, drop, join, hand_over, overtaken_ask, alone, dead_on_arrival, lost_in_memory, truncation, late_office,
    )
}  # fmt: skip
"""To be met in any search of two epochs and a command."""
