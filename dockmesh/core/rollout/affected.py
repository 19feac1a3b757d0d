"""What a plan means for other hosts: the peers whose path changes, and the moved hosts that a host follows."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import chain

from dockmesh.core.addresses import FAMILIES, Network, host_network
from dockmesh.core.model import Fleet
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.diff import Change, is_route
from dockmesh.core.state.resources import File, NftTable, Resource, Route, Unit

# The host of each prefix, and of each underlay address as a network.
Owners = Mapping[Network, str]


def network_owners(fleet: Fleet) -> Owners:
    """The host of each prefix and of each underlay address."""
    parts = [(host.name, part) for host in fleet.hosts for family in FAMILIES if (part := host.network(family))]
    prefixes = {part.prefix: name for name, part in parts if part.prefix}
    return {host_network(part.underlay): name for name, part in parts} | prefixes


def affected_peers(plan: HostPlan, owners: Owners) -> AbstractSet[str] | None:
    """The peers whose path to or from the host the plan changes; None for all peers."""
    runs = [*SharedSequence.of(plan.changes).runs("route", is_route)]
    networks: set[Network] = set()
    for change in chain.from_iterable(run for routes, run in runs if not routes):
        changed = _changed_networks(change)
        if changed is None:
            return None
        networks |= changed
    for routes, run in runs:
        if routes:
            networks.update(run.mapped("prefix", _prefix))
    return {owners[network] for network in networks if network in owners}


def followed_hosts(plan: HostPlan, owners: Owners) -> AbstractSet[str]:
    """The hosts with another prefix or underlay address than before, to which the plan adapts a route of the host."""
    runs = SharedSequence.of(plan.changes).runs("replaces-route", _replaces_route)
    replaced = chain.from_iterable(run for replaces, run in runs if replaces)
    found = (_followed(change.before, change.after, owners) for change in replaced)
    return {name for name in found if name is not None}


def _followed(before: Resource | None, after: Resource | None, owners: Owners) -> str | None:
    assert isinstance(before, Route)  # noqa: S101 (the key of the run)
    if after is not None:
        return owners.get(before.prefix)
    # The old prefix of a moved host is no prefix of the fleet. A host that has left has no underlay address there.
    return None if before.prefix in owners else owners.get(host_network(before.next_hop))


def _replaces_route(change: Change) -> bool:
    return change.before is not None and is_route(change)


def _prefix(change: Change) -> Network:
    assert isinstance(change.resource, Route)  # noqa: S101 (the key of the run)
    return change.resource.prefix


def _changed_networks(change: Change) -> AbstractSet[Network] | None:
    """The networks of the peers that the change is about; None if it is about all peers."""
    match change.before, change.after:
        case NftTable() as before, NftTable() as after if _without_peers(before) == _without_peers(after):
            return {*before.networks} ^ {*after.networks}
        case (File() | Unit(), _) | (_, File() | Unit()):
            # The kernel reads neither. A daemon.json that matters comes with a restart of Docker.
            return frozenset()
        case _:
            return None


def _without_peers(table: NftTable) -> NftTable:
    return replace(table, sets=tuple(replace(each, networks=()) for each in table.sets))
