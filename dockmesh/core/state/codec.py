"""The state of a host as JSON text. The host keeps this record for `rollback`."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_network
from typing import Any

from dockmesh.core.addresses import IPV4, IPV6
from dockmesh.core.fwmark import FirewallMark
from dockmesh.core.host_output import parse_json, parsing
from dockmesh.core.names import (
    ACCEPT_CHAINS,
    COMMENT,
    DAEMON_JSON,
    ORIGINAL_JSON,
    REASSERT_SCRIPT,
    REVERTED_RECORD,
    UNITS,
    is_owned_route,
)
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    NftAdmission,
    NftTable,
    PeerSet,
    Pool,
    Resource,
    Route,
    StrayRoute,
    Unit,
    parse_pool,
    route,
)
from dockmesh.error_codes import HostErrorCode

_FORMAT = "dockmesh/state/1"
_POLICIES = {"ACCEPT", "DROP", None}
_FILES = {DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT, REVERTED_RECORD}


def dump_state(state: HostState) -> str:
    """Return the state as the text that `load_state` reads."""
    return json.dumps({"format": _FORMAT, "resources": dump_resources(state.resources)}, indent=1) + "\n"


def load_state(text: str) -> HostState:
    """Read the text that `dump_state` wrote.

    Raises:
        HostError: the text has another format.
    """
    with parsing("the record of the previous state", HostErrorCode.RECORD_UNREADABLE):
        return HostState(load_resources(parse_json(text)["resources"]))


def dump_resources(resources: Iterable[Resource]) -> list[list[Any]]:
    """Return the resources as rows that `load_resources` reads."""
    return [_row(each) for each in resources]


def load_resources(rows: Iterable[Any]) -> tuple[Resource, ...]:
    """Read the rows that `dump_resources` wrote. Raises ValueError, KeyError or TypeError for other rows."""
    return tuple(map(_resource, rows))


def dump_pools(pools: Iterable[Pool]) -> list[list[Any]]:
    """Return the pools as rows that `load_pools` reads."""
    return [[pool.text, pool.size] for pool in pools]


def load_pools(rows: Iterable[Any]) -> tuple[Pool, ...]:
    """Read the rows that `dump_pools` wrote. Raises ValueError or TypeError for other rows."""
    return tuple(parse_pool(base, int(size)) for base, size in rows)


def _row(resource: Resource) -> list[Any]:
    match resource:
        case Route(prefix, next_hop, device):
            return ["route", str(prefix), str(next_hop), device]
        case StrayRoute(text, family):
            return ["stray", text, family]
        case File(path, _, mode):
            return ["file", path, resource.text, mode]
        case AcceptRules(table, chain, rules, family, _first):
            return ["accept", table, chain, list(rules), family]
        case NftTable(sets, chains, family):
            return ["nft", [[each.name, list(map(str, each.networks))] for each in sets], list(chains), family]
        case DockerNetworking():
            return _bridge_row(resource)
        case Unit(name, text, active, enabled):
            return ["unit", name, text, active, enabled]
        case Forwarding(family, on, policy):
            return ["forwarding", family, on, policy]


def _resource(row: list[Any]) -> Resource:
    """Read one row, and accept only resources that dockmesh itself creates, since anyone may edit the record."""
    match row:
        case ["route", str(prefix), str(next_hop), str(device)] if device.split() == [device]:
            return route(ip_network(prefix), ip_address(next_hop), device)
        case ["stray", str(text), 4 | 6 as family] if is_owned_route(words := text.split()) and text == " ".join(words):
            return StrayRoute(text, IPV4 if family == IPV4 else IPV6)
        case ["file", path, str(text), str() | None as mode] if path in _FILES:
            return File(path, text, mode)
        case ["accept", str(table), str(chain), [*rules], 4 | 6 as family] if ACCEPT_CHAINS.get(chain) == table:
            return AcceptRules(table, chain, tuple(map(_accept_rule, rules)), IPV4 if family == IPV4 else IPV6)
        case ["nft", [*sets], [*chains], 4 | 6 as family]:
            found = tuple(PeerSet(_set_name(name), tuple(map(ip_network, networks))) for name, networks in sets)
            return NftTable(found, tuple(map(_rule, chains)), IPV4 if family == IPV4 else IPV6)
        case ["bridge", *columns]:
            return _bridge(columns)
        case ["unit", name, str(text), bool(active), bool(enabled)] if name in UNITS:
            return Unit(name, text, active, enabled)
        case ["forwarding", 4 | 6 as family, bool(on), policy] if policy in _POLICIES:
            return Forwarding(IPV4 if family == IPV4 else IPV6, on, policy)
        case _:
            raise ValueError(f"not a resource: {row!r}")


def _bridge_row(bridge: DockerNetworking) -> list[Any]:
    own, own6 = (str(each) if each else None for each in (bridge.address, bridge.address6))
    admission = bridge.admission
    mark = [admission.mark.value, admission.mark.mask] if admission and admission.mark else None
    accepts = [mark, admission.direct_routing] if admission else None
    return ["bridge", own, dump_pools(bridge.pools), bridge.startup_json, own6, bridge.mtu, accepts]


def _bridge(columns: list[Any]) -> DockerNetworking:
    match columns:
        case [str() | None as own, [*pools], str() | None as startup, str() | None as own6, int(mtu), accepts]:
            address = IPv4Interface(own) if own else None
            address6 = IPv6Interface(own6) if own6 else None
            return DockerNetworking(address, load_pools(pools), startup, address6, mtu, _admission(accepts))
        case _:
            raise ValueError(f"not a bridge: {columns!r}")


def _admission(row: list[Any] | None) -> NftAdmission | None:
    match row:
        case None:
            return None
        case [None, bool(direct)]:
            return NftAdmission(None, direct)
        case [[int(value), int(mask)], bool(direct)]:
            return NftAdmission(FirewallMark(value, mask), direct)
        case _:
            raise ValueError(f"not an admission: {row!r}")


def _rule(rule: Any) -> str:
    if not isinstance(rule, str) or "\n" in rule:
        raise ValueError(f"not a rule: {rule!r}")
    return rule


def _accept_rule(rule: Any) -> str:
    if f" --comment {COMMENT} " not in _rule(rule):
        raise ValueError(f"not a rule of dockmesh: {rule!r}")
    return str(rule)


def _set_name(name: Any) -> str:
    if not isinstance(name, str) or not name.isalnum():
        raise ValueError(f"not a set: {name!r}")
    return name
