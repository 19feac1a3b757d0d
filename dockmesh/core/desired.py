"""What a host shall have: from the fleet and the host's facts, and for `destroy` from what it was found with."""

import json
from collections.abc import Sequence
from ipaddress import IPv4Interface
from typing import Any

from jinja2 import Environment, StrictUndefined

from dockmesh.core import daemon, record, script
from dockmesh.core.facts import DAEMON_JSON, DOCKER_BRIDGE, ORIGINAL_JSON, REASSERT, HostFacts
from dockmesh.core.firewall import chains, source_nat
from dockmesh.core.model import Bridge, File, Fleet, Host, HostState, Pool, Resource, Unit
from dockmesh.core.pools import pools
from dockmesh.core.routing import mesh_routes, peers
from dockmesh.core.sections import reading
from dockmesh.core.texts import Texts

_FORMAT = "dockmesh/original/1"
_REASSERT_S = 25


def desired(fleet: Fleet, host: Host, facts: HostFacts, texts: Texts) -> HostState:
    """The state that joins `host` to the mesh.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
    """
    others = tuple(peers(fleet, host))
    sources = () if fleet.settings.source_nat else source_nat(host, others, facts)
    fades = HostState((*chains(host, others, facts), *sources, *mesh_routes(fleet, host, facts.ways)))
    return HostState(
        (
            *(_docker_resources(host, facts, pools(fleet, host, facts), texts) if host.docker else ()),
            *fades.resources,
            *_persistence(host, fades, texts),
        )
    )


def previous(facts: HostFacts) -> HostState:
    """The state before the last confirmed apply; the present one where there is no record of another.

    Of daemon.json only the own keys go back: what others have changed in it since then stays.

    Raises:
        HostError: the record is unreadable.
    """
    if facts.previous is None:
        return facts.actual
    state = record.load(facts.previous)
    if facts.docker is None:
        return state
    resources = state.by_key()
    resources.pop(("service", "docker"), None)
    then = resources.pop(("file", DAEMON_JSON), None)
    now = facts.file(DAEMON_JSON)
    text = daemon.restore(now.text if now else None, then.text if isinstance(then, File) else None)
    file = () if text is None else (File(DAEMON_JSON, text, now.mode if now else None),)
    address, had = (state.bridge.address, state.bridge.pools) if state.bridge else (None, ())
    return HostState((*resources.values(), *file, Bridge(address, had, daemon.naming(text, address, had))))


def undone(facts: HostFacts) -> HostState:
    """The state without dockmesh: daemon.json and docker0 as they were found, nothing else.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
        HostError: the record of what was found is unreadable.
    """
    file, found = facts.file(DAEMON_JSON), facts.file(ORIGINAL_JSON)
    if found is None:
        return HostState(tuple(resource for resource in (file, facts.actual.bridge) if resource))
    with reading(ORIGINAL_JSON):
        original = json.loads(found.text)
        daemon.load(before := original["daemon_json"])
        address = IPv4Interface(original[DOCKER_BRIDGE]) if original[DOCKER_BRIDGE] else None
        had = record.load_pools(original["pools"])
    text = daemon.restore(file.text if file else None, before)
    bridge = Bridge(address, had, daemon.naming(text, address, had))
    return HostState((bridge,) if text is None else (File(DAEMON_JSON, text, file.mode if file else None), bridge))


def own_keys(host: Host, pools: Sequence[Pool], texts: Texts) -> dict[str, Any]:
    """The keys of daemon.json that dockmesh sets on `host`, rendered from the template."""
    keys: dict[str, Any] = json.loads(_render(texts.daemon_json, bridge=host.bridge, pools=pools))
    return keys


def _render(template: str, **variables: object) -> str:
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 (JSON and units, not HTML)
    return environment.from_string(template).render(**variables)


def _persistence(host: Host, fades: HostState, texts: Texts) -> tuple[Resource, ...]:
    """What the kernel forgets at a reboot, and loses to a link flap, the host puts back from its own files."""
    service = _render(texts.service, script=REASSERT, docker=host.docker)
    return (
        File(REASSERT, script.reassertion(fades, texts), "700"),
        Unit("dockmesh.service", service),
        Unit("dockmesh.timer", _render(texts.timer, every_s=_REASSERT_S)),
    )


def _docker_resources(host: Host, facts: HostFacts, pools: tuple[Pool, ...], texts: Texts) -> tuple[Resource, ...]:
    file = facts.file(DAEMON_JSON)
    text = daemon.merge(file.text if file else None, own_keys(host, pools, texts))
    return (
        facts.file(ORIGINAL_JSON) or _record(facts),
        File(DAEMON_JSON, text, file.mode if file else "644"),
        Bridge(host.bridge, pools),
    )


def _record(facts: HostFacts) -> File:
    """What the host has before its first apply, for `destroy` to come back to."""
    file = facts.file(DAEMON_JSON)
    bridge = facts.actual.bridge or Bridge(None)
    document = {
        "format": _FORMAT,
        "daemon_json": file.text if file else None,
        DOCKER_BRIDGE: str(bridge.address) if bridge.address else None,
        "pools": record.dump_pools(bridge.pools),
    }
    return File(ORIGINAL_JSON, json.dumps(document, indent=2) + "\n", "600")
