"""What a host shall have: from the fleet and the host's facts, and for `destroy` from what it was found with."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache, partial
from ipaddress import IPv6Interface
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from dockmesh.core.addresses import IPV4, IPV6
from dockmesh.core.desired import docker_nftables, mtu, original
from dockmesh.core.desired.docker_pools import pools
from dockmesh.core.desired.firewall import chains, mark_rules, source_nat, with_marks
from dockmesh.core.desired.routing import mesh_routes
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON, REASSERT_SCRIPT
from dockmesh.core.peers import Peers, peers
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state import codec, daemon_json, steps
from dockmesh.core.state.resources import (
    Chain,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    Pool,
    Resource,
    SourceNat,
    Unit,
    key_of,
)
from dockmesh.core.templates import Templates

_REASSERT_S = 25


def desired(fleet: Fleet, host: Host, facts: HostFacts, narrow: SmallestUplink, texts: Templates) -> HostState:
    """The state that joins `host` to the mesh.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
        HostError: the record of what the host was found with is unreadable.
    """
    others = peers(fleet, host)
    sources = () if fleet.settings.source_nat else source_nat(host, others, facts)
    own: Sequence[Resource] = facts.actual.of(Forwarding)
    if facts.docker:
        own = _docker_resources(fleet, host, facts, facts.docker, narrow=narrow, texts=texts)
    fades = HostState(
        SharedSequence.of(
            (Forwarding(IPV4, on=True),) if facts.docker_uses_nftables else (),
            chains(host, others, facts),
            with_marks(sources, _marks(host, others, facts, HostState(own))),
            mesh_routes(fleet, host, facts.peer_routes),
        )
    )
    return HostState(SharedSequence.of(own, fades.resources, _persistence(host, fades, texts)))


def rollback_state(facts: HostFacts) -> HostState:
    """The state before the last confirmed apply; the present one where there is no record of another.

    Of daemon.json only the own keys go back: what others have changed in it since then stays.

    Raises:
        HostError: the record is unreadable.
    """
    if facts.previous is None:
        return facts.actual
    state = docker_nftables.for_backend(codec.load_state(facts.previous), facts)
    resources = {key_of(each): each for each in state.resources if not isinstance(each, Forwarding)}
    of_ipv4 = tuple(each for each in state.of(Forwarding) if each.family == IPV4)
    switch = (*of_ipv4, *_given_back(facts, state.of(Forwarding)))
    if facts.docker is None:
        return HostState((*resources.values(), *switch))
    resources.pop(("service", "docker"), None)
    then = resources.pop(("file", DAEMON_JSON), None)
    before = then.text if isinstance(then, File) else None
    given = mtu.paths_with_set_mtu(before, _given_mtu(state))
    return HostState(
        (*resources.values(), *_returned(facts, before, state.docker or DockerNetworking(None), given), *switch)
    )


def original_state(facts: HostFacts) -> HostState:
    """The state without dockmesh: daemon.json and docker0 as they were found, nothing else.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
        HostError: the record of what was found is unreadable.
    """
    found = original.load_original(facts.actual)
    if found is None:
        there = (facts.file(DAEMON_JSON), facts.actual.docker, *facts.actual.of(Forwarding))
        return HostState(tuple(resource for resource in there if resource))
    own = _returned(facts, found.daemon_json, found.docker)
    return HostState((*own, *docker_nftables.forwarding(facts), *_given_back(facts, found.forwarding)))


def _returned(
    facts: HostFacts, before: str | None, then: DockerNetworking, also: Collection[daemon_json.Path] = ()
) -> tuple[Resource, ...]:
    """daemon.json with its own keys, and the places of `also`, as in the text `before`, and docker0 as it was then.

    Its MTU is what the file says: what an admin wrote into it since stays.
    """
    file, now = facts.file(DAEMON_JSON), facts.daemon_json
    ours = {(key,) for key in docker_nftables.set_keys(original.load_original(facts.actual))}
    text = daemon_json.restore(now, before, {*mtu.paths_with_set_mtu(now, _given_mtu(facts.actual)), *ours, *also})
    admission = daemon_json.nft_admission(text, nftables=facts.docker_uses_nftables)
    bridge = replace(then, mtu=mtu.docker0_mtu(facts, text), admission=admission)
    bridge = replace(bridge, startup_json=daemon_json.startup_json(text, bridge))
    return (bridge,) if text is None else (File(DAEMON_JSON, text, file.mode if file else None), bridge)


def _given_mtu(state: HostState) -> int | None:
    found = original.load_original(state)
    return found.set_mtu if found else None


def daemon_json_keys(host: Host, facts: HostFacts, pools: Sequence[Pool], texts: Templates) -> dict[str, Any]:
    """The keys of daemon.json that dockmesh sets on `host`, rendered from the template."""
    rendered = _template(texts.daemon_json).render(
        bridge=host.bridge,
        bridge6=host.ipv6.bridge if host.ipv6 else None,
        supports_bip6=facts.docker is not None and facts.docker.major >= daemon_json.BIP6_SINCE,
        pools=pools,
    )
    keys: dict[str, Any] = json.loads(rendered)
    return keys


@cache
def _template(text: str) -> Template:
    """Compiled once a run: that takes longer than all else that is planned for a host."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 (JSON and units, not HTML)
    return environment.from_string(text)


def _persistence(host: Host, fades: HostState, texts: Templates) -> tuple[Resource, ...]:
    """What the kernel forgets at a reboot, and loses to a link flap, the host puts back from its own files."""
    return (
        File(REASSERT_SCRIPT, partial(steps.reassert_script, fades, texts), "700"),
        *_units(texts, docker=host.docker),
    )


@cache
def _units(texts: Templates, *, docker: bool) -> tuple[Unit, ...]:
    service = _template(texts.service).render(reassert_script=REASSERT_SCRIPT, runs_docker=docker)
    return (
        Unit("dockmesh.service", service),
        Unit("dockmesh.timer", _template(texts.timer).render(interval_s=_REASSERT_S)),
    )


def _marks(host: Host, others: Peers, facts: HostFacts, docker: HostState) -> Sequence[str]:
    """What an admin has opened to everybody stays open."""
    admission = docker.docker.admission if docker.docker else None
    if not facts.docker_uses_nftables or admission is None or admission.mark is None:
        return ()
    closed = daemon_json.DIRECT_ROUTING_KEY in docker_nftables.set_keys(original.load_original(docker))
    return mark_rules(host, others, facts, admission.mark, closed=closed)


def _docker_resources(
    fleet: Fleet, host: Host, facts: HostFacts, docker: DockerFacts, *, narrow: SmallestUplink, texts: Templates
) -> tuple[Resource, ...]:
    file = facts.file(DAEMON_JSON)
    joins = host.ipv6 is not None and host.ipv6.bridge is not None
    kept = docker_nftables.record_backend(original.recorded_or_current(facts), facts)
    # What a host was found with counts where it leaves the mesh of IPv6.
    found = kept if not joins and _ipv6_is_ours(facts) else None
    given = pools(fleet, host, facts, found.docker if found else None)
    keys = daemon_json.merge(
        facts.daemon_json,
        daemon_json_keys(host, facts, given, texts) | docker_nftables.required_keys(facts),
        stale=(*(daemon_json.IPV6_KEYS if found else ()), *docker_nftables.stale_keys(facts)),
        original=kept.daemon_json,
    )
    fitted = mtu.plan_mtu(facts, docker, narrow)
    keys = daemon_json.with_values(keys, fitted.values)
    bridge = DockerNetworking(
        host.bridge,
        given,
        address6=_address6(host, facts, found),
        mtu=mtu.docker0_mtu(facts, keys),
        admission=daemon_json.nft_admission(keys, nftables=facts.docker_uses_nftables),
    )
    return (
        original.dump_original(replace(kept, set_mtu=fitted.set_mtu), facts),
        File(DAEMON_JSON, keys, file.mode if file else "644"),
        mtu.keep_running_mtu(facts, bridge, keys, narrow),
        *_switch(facts, found, on=joins),
    )


def _address6(host: Host, facts: HostFacts, found: original.OriginalState | None) -> IPv6Interface | None:
    """docker0's; where the host takes no part in the mesh of IPv6, the one it has, or the one it was found with."""
    if host.ipv6 and isinstance(host.ipv6.bridge, IPv6Interface):
        return host.ipv6.bridge
    bridge = found.docker if found else facts.actual.docker
    return bridge.address6 if bridge else None


def _switch(facts: HostFacts, found: original.OriginalState | None, *, on: bool) -> tuple[Forwarding, ...]:
    """Docker forwards IPv6 once it has a network of it; that is planned, so that it can be taken back."""
    switches = found.forwarding if found else facts.actual.of(Forwarding)
    return tuple(replace(each, on=each.on or on) for each in switches if each.family == IPV6)


def _given_back(facts: HostFacts, then: Sequence[Forwarding]) -> tuple[Forwarding, ...]:
    """The switch of IPv6 as it was; as it is, where it was not for the mesh that it was switched on."""
    switches = then if facts.docker and _ipv6_is_ours(facts) else facts.actual.of(Forwarding)
    return tuple(each for each in switches if each.family == IPV6)


def _ipv6_is_ours(facts: HostFacts) -> bool:
    """Whether dockmesh has brought IPv6 to the host: nothing else tells its keys of daemon.json from an admin's."""
    ours: SharedSequence[Chain | SourceNat] = SharedSequence.of(facts.actual.of(Chain), facts.actual.of(SourceNat))
    families = {each.family for each in ours}
    kept = facts.file(REASSERT_SCRIPT)
    # Rules may have been flushed a moment ago; what puts them back is there.
    return IPV6 in families or (kept is not None and steps.restores_ipv6(kept.text))
