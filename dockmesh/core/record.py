"""A host's state as JSON text: what is kept on the host for `rollback` to come back to."""

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from dockmesh.core.facts import DAEMON_JSON, FORWARD_CHAIN, ORIGINAL_JSON, RAW_CHAIN, REASSERT, UNITS
from dockmesh.core.model import Bridge, Chain, File, HostState, Resource, Route, Unit
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


def _row(resource: Resource) -> list[Any]:
    match resource:
        case Route(prefix, next_hop, device):
            return ["route", str(prefix), str(next_hop), device]
        case File(path, text, mode):
            return ["file", path, text, mode]
        case Chain(table, name, hook, rules):
            return ["chain", table, name, hook, list(rules)]
        case Bridge(address, way_in):
            return ["bridge", str(address) if address else None, way_in]
        case Unit(name, text, active):
            return ["unit", name, text, active]


def _resource(row: list[Any]) -> Resource:
    """Nothing but what dockmesh itself has on a host, whoever wrote the record."""
    match row:
        case ["route", str(prefix), str(next_hop), str(device)] if device.split() == [device]:
            return Route(IPv4Network(prefix), IPv4Address(next_hop), device)
        case ["file", path, str(text), str() | None as mode] if path in {DAEMON_JSON, ORIGINAL_JSON, REASSERT}:
            return File(path, text, mode)
        case ["chain", str(table), name, str() | None as hook, [*rules]] if name in {FORWARD_CHAIN, RAW_CHAIN}:
            return Chain(table, name, hook, tuple(map(_rule, rules)))
        case ["bridge", str() | None as address, str() | None as way_in]:
            return Bridge(IPv4Interface(address) if address else None, way_in)
        case ["unit", name, str(text), bool(active)] if name in UNITS:
            return Unit(name, text, active)
        case _:
            raise ValueError(f"no resource: {row!r}")


def _rule(rule: Any) -> str:
    if not isinstance(rule, str) or "\n" in rule:
        raise ValueError(f"no rule: {rule!r}")
    return rule
