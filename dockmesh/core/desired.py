"""What a host shall have: from the fleet and the host's facts, and for `destroy` from what it was found with."""

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv6Interface
from typing import Any

from jinja2 import Environment, StrictUndefined

from dockmesh.core import daemon, original, record, script
from dockmesh.core.addresses import IPV6
from dockmesh.core.facts import DAEMON_JSON, ORIGINAL_JSON, REASSERT, HostFacts
from dockmesh.core.firewall import chains, source_nat
from dockmesh.core.model import (
    Bridge,
    Chain,
    File,
    Fleet,
    Forwarding,
    Host,
    HostState,
    Pool,
    Resource,
    SourceNat,
    Unit,
    key_of,
)
from dockmesh.core.pools import pools
from dockmesh.core.routing import mesh_routes, peers
from dockmesh.core.texts import Texts

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
            *(_docker_resources(fleet, host, facts, texts) if host.docker else facts.actual.of(Forwarding)),
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
    resources = {key_of(each): each for each in state.resources if not isinstance(each, Forwarding)}
    switch = _given_back(facts, state.of(Forwarding))
    if facts.docker is None:
        return HostState((*resources.values(), *switch))
    resources.pop(("service", "docker"), None)
    then = resources.pop(("file", DAEMON_JSON), None)
    now = facts.file(DAEMON_JSON)
    text = daemon.restore(now.text if now else None, then.text if isinstance(then, File) else None)
    file = () if text is None else (File(DAEMON_JSON, text, now.mode if now else None),)
    bridge = state.bridge or Bridge(None)
    return HostState((*resources.values(), *file, replace(bridge, way_in=daemon.naming(text, bridge)), *switch))


def undone(facts: HostFacts) -> HostState:
    """The state without dockmesh: daemon.json and docker0 as they were found, nothing else.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
        HostError: the record of what was found is unreadable.
    """
    file, found = facts.file(DAEMON_JSON), original.load(facts)
    if found is None:
        there = (file, facts.actual.bridge, *facts.actual.of(Forwarding))
        return HostState(tuple(resource for resource in there if resource))
    text = daemon.restore(file.text if file else None, found.daemon_json)
    own = () if text is None else (File(DAEMON_JSON, text, file.mode if file else None),)
    bridge = replace(found.bridge, way_in=daemon.naming(text, found.bridge))
    return HostState((*own, bridge, *_given_back(facts, found.forwarding)))


def own_keys(host: Host, facts: HostFacts, pools: Sequence[Pool], texts: Texts) -> dict[str, Any]:
    """The keys of daemon.json that dockmesh sets on `host`, rendered from the template."""
    rendered = _render(
        texts.daemon_json,
        bridge=host.bridge,
        bridge6=host.ipv6.bridge if host.ipv6 else None,
        bip6=facts.docker is not None and facts.docker.major >= daemon.BIP6,
        pools=pools,
    )
    keys: dict[str, Any] = json.loads(rendered)
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


def _docker_resources(fleet: Fleet, host: Host, facts: HostFacts, texts: Texts) -> tuple[Resource, ...]:
    file = facts.file(DAEMON_JSON)
    text = file.text if file else None
    joins = host.ipv6 is not None and host.ipv6.bridge is not None
    # What a host was found with counts where it leaves the mesh of IPv6.
    found = original.load(facts) if not joins and _ipv6_is_ours(facts) else None
    given = pools(fleet, host, facts, found.bridge if found else None)
    keys = daemon.merge(
        text,
        own_keys(host, facts, given, texts),
        lapsed=daemon.IPV6_KEYS if found else (),
        original=found.daemon_json if found else None,
    )
    return (
        facts.file(ORIGINAL_JSON) or original.dump(facts, text),
        File(DAEMON_JSON, keys, file.mode if file else "644"),
        Bridge(host.bridge, given, address6=_address6(host, facts, found)),
        *_switch(facts, found, on=joins),
    )


def _address6(host: Host, facts: HostFacts, found: original.Original | None) -> IPv6Interface | None:
    """docker0's; where the host takes no part in the mesh of IPv6, the one it has, or the one it was found with."""
    if host.ipv6 and isinstance(host.ipv6.bridge, IPv6Interface):
        return host.ipv6.bridge
    bridge = found.bridge if found else facts.actual.bridge
    return bridge.address6 if bridge else None


def _switch(facts: HostFacts, found: original.Original | None, *, on: bool) -> tuple[Forwarding, ...]:
    """Docker forwards IPv6 once it has a network of it; that is planned, so that it can be taken back."""
    if found is not None:
        return found.forwarding
    return tuple(replace(each, on=each.on or on) for each in facts.actual.of(Forwarding))


def _given_back(facts: HostFacts, then: tuple[Forwarding, ...]) -> tuple[Forwarding, ...]:
    """The switch as it was; as it is, where it was not for the mesh that it was switched on."""
    return then if facts.docker and _ipv6_is_ours(facts) else facts.actual.of(Forwarding)


def _ipv6_is_ours(facts: HostFacts) -> bool:
    """Whether dockmesh has brought IPv6 to the host: nothing else tells its keys of daemon.json from an admin's."""
    families = (each.family for each in facts.actual.resources if isinstance(each, Chain | SourceNat))
    return IPV6 in families
