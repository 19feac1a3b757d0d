"""A host's state as JSON text: what is kept on the host for `rollback` to come back to."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from typing import Any

from dockmesh.core.facts import CHAINS, DAEMON_JSON, ORIGINAL_JSON, REASSERT, UNITS
from dockmesh.core.model import Bridge, Chain, File, HostState, Pool, Resource, Route, SourceNat, Unit
from dockmesh.core.sections import reading

_FORMAT = "dockmesh/state/1"


def dump(state: HostState) -> str:
    """The state as a document that `load` reads."""
    return json.dumps({"format": _FORMAT, "resources": [_row(each) for each in state.resources]}, indent=1) + "\n"


def load(text: str) -> HostState:
    """The state that `dump` wrote.

    Raises:
        HostError: the text is not what `dump` writes.
    """
    with reading("the record of the state before"):
        return HostState(tuple(map(_resource, json.loads(text)["resources"])))


def dump_pools(pools: Iterable[Pool]) -> list[list[Any]]:
    """The pools as rows that `load_pools` reads."""
    return [[str(pool.base), pool.size] for pool in pools]


def load_pools(rows: Iterable[Any]) -> tuple[Pool, ...]:
    """The pools that `dump_pools` wrote. Raises ValueError and its like where it did not."""
    return tuple(Pool(ip_network(base), int(size)) for base, size in rows)


def _row(resource: Resource) -> list[Any]:
    match resource:
        case Route(prefix, next_hop, device):
            return ["route", str(prefix), str(next_hop), device]
        case File(path, text, mode):
            return ["file", path, text, mode]
        case Chain(table, name, hook, rules):
            return ["chain", table, name, hook, list(rules)]
        case SourceNat(prefix, peers):
            return ["nat", str(prefix) if prefix else None, list(map(str, peers))]
        case Bridge(address, pools, way_in):
            return ["bridge", str(address) if address else None, dump_pools(pools), way_in]
        case Unit(name, text, active):
            return ["unit", name, text, active]


def _resource(row: list[Any]) -> Resource:
    """Nothing but what dockmesh itself has on a host, whoever wrote the record."""
    match row:
        case ["route", str(prefix), str(next_hop), str(device)] if device.split() == [device]:
            return Route(IPv4Network(prefix), IPv4Address(next_hop), device)
        case ["file", path, str(text), str() | None as mode] if path in {DAEMON_JSON, ORIGINAL_JSON, REASSERT}:
            return File(path, text, mode)
        case ["chain", str(table), name, str() | None as hook, [*rules]] if name in CHAINS:
            return Chain(table, name, hook, tuple(map(_rule, rules)))
        case ["nat", str() | None as prefix, [*peers]]:
            return SourceNat(IPv4Network(prefix) if prefix else None, tuple(map(IPv4Network, peers)))
        case ["bridge", str() | None as address, [*pools], str() | None as way_in]:
            return Bridge(IPv4Interface(address) if address else None, load_pools(pools), way_in)
        case ["unit", name, str(text), bool(active)] if name in UNITS:
            return Unit(name, text, active)
        case _:
            raise ValueError(f"no resource: {row!r}")


def _rule(rule: Any) -> str:
    if not isinstance(rule, str) or "\n" in rule:
        raise ValueError(f"no rule: {rule!r}")
    return rule
