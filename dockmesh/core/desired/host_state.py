"""The desired state of a host for apply, rollback and destroy."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from ipaddress import IPv6Interface
from itertools import chain
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from dockmesh.core.addresses import FAMILIES, IPV4, IPV6, Family
from dockmesh.core.desired import docker_nftables, mtu, original
from dockmesh.core.desired.docker_pools import pools
from dockmesh.core.desired.firewall import FirewallOptions, accept_rules, nft_table
from dockmesh.core.desired.routing import mesh_routes
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON, REASSERT_SCRIPT, REVERTED_RECORD
from dockmesh.core.peers import peers
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state import codec, daemon_json, steps
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    NftTable,
    Pool,
    Resource,
    Unit,
    key_of,
)
from dockmesh.core.templates import Templates

_REASSERT_S = 25


def desired(fleet: Fleet, host: Host, facts: HostFacts, smallest: SmallestUplink, texts: Templates) -> HostState:
    """Return the state that joins `host` to the mesh.

    Raises:
        DaemonJsonError: the host's daemon.json is not a JSON object.
        HostError: the record of the original state is unreadable.
    """
    own: Sequence[Resource] = facts.actual.of(Forwarding)
    if facts.docker:
        own = _docker_resources(fleet, host, facts, facts.docker, smallest=smallest, texts=texts)
    volatile = HostState(
        SharedSequence.of(
            (Forwarding(IPV4, on=True),) if facts.docker_uses_nftables else (),
            *(_firewall(fleet, host, facts, family, HostState(own)) for family in FAMILIES),
            mesh_routes(fleet, host, facts.peer_routes),
        )
    )
    return HostState(SharedSequence.of(own, volatile.resources, _persistence(host, volatile, texts)))


def rollback_state(facts: HostFacts) -> HostState:
    """Return the state before the last confirmed apply; the current state if there is no record of it.

    In daemon.json only dockmesh's keys are restored; later changes by others stay.

    Raises:
        HostError: the record is unreadable.
    """
    if facts.previous is None:
        return _without_record(facts)
    state = docker_nftables.for_backend(codec.load_state(facts.previous), facts)
    resources = {key_of(each): each for each in state.resources if not isinstance(each, Forwarding)}
    resources.pop(("file", REVERTED_RECORD), None)
    ipv4 = tuple(each for each in state.of(Forwarding) if each.family == IPV4)
    forwarding = (*ipv4, *_restored_ipv6_forwarding(facts, state.of(Forwarding)))
    if facts.docker is None:
        return HostState((*resources.values(), *forwarding))
    resources.pop(("service", "docker"), None)
    file = resources.pop(("file", DAEMON_JSON), None)
    before = file.text if isinstance(file, File) else None
    paths = mtu.paths_with_set_mtu(before, _set_mtu(state))
    docker = _restored_docker(facts, before, state.docker or DockerNetworking(None), paths)
    return HostState((*resources.values(), *docker, *forwarding))


def _without_record(facts: HostFacts) -> HostState:
    record = facts.file(REVERTED_RECORD)
    return HostState(tuple(each for each in facts.actual.resources if each != record)) if record else facts.actual


def original_state(facts: HostFacts) -> HostState:
    """Return the state without dockmesh: the original daemon.json, docker0 and forwarding, and nothing else.

    Raises:
        DaemonJsonError: the host's daemon.json is not a JSON object.
        HostError: the record of the original state is unreadable.
    """
    record = original.load_original(facts.actual)
    if record is None:
        present = (facts.file(DAEMON_JSON), facts.actual.docker, *facts.actual.of(Forwarding))
        return HostState(tuple(resource for resource in present if resource))
    docker = _restored_docker(facts, record.daemon_json, record.docker)
    forwarding = _restored_ipv6_forwarding(facts, record.forwarding)
    return HostState((*docker, *docker_nftables.forwarding(facts), *forwarding))


def _restored_docker(
    facts: HostFacts, before: str | None, bridge: DockerNetworking, also: Collection[daemon_json.Path] = ()
) -> tuple[Resource, ...]:
    """`bridge` and a daemon.json with dockmesh's keys and the paths of `also` as in the text `before`.

    The MTU of docker0 is that of the file, so a later value of the operator stays.
    """
    file, now = facts.file(DAEMON_JSON), facts.daemon_json
    ours = {(key,) for key in docker_nftables.set_keys(original.load_original(facts.actual))}
    text = daemon_json.restore(now, before, {*mtu.paths_with_set_mtu(now, _set_mtu(facts.actual)), *ours, *also})
    admission = daemon_json.nft_admission(text, nftables=facts.docker_uses_nftables)
    bridge = replace(bridge, mtu=mtu.docker0_mtu(facts, text), admission=admission)
    bridge = replace(bridge, startup_json=daemon_json.startup_json(text, bridge))
    return (bridge,) if text is None else (File(DAEMON_JSON, text, file.mode if file else None), bridge)


def _set_mtu(state: HostState) -> int | None:
    record = original.load_original(state)
    return record.set_mtu if record else None


def daemon_json_keys(host: Host, facts: HostFacts, pools: Sequence[Pool], texts: Templates) -> dict[str, Any]:
    """Return the keys of daemon.json that dockmesh sets on `host`, rendered from the template."""
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
    """Compile a template once per run, since that takes longer than the rest of a host's plan."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 (JSON and units, not HTML)
    return environment.from_string(text)


def _persistence(host: Host, volatile: HostState, texts: Templates) -> tuple[Resource, ...]:
    """The files and units with which the host restores its volatile state after a reboot or link flap."""
    return (
        File(REASSERT_SCRIPT, partial(steps.reassert_script, volatile, texts), "700"),
        *_units(texts, docker=host.docker),
    )


@cache
def _units(texts: Templates, *, docker: bool) -> tuple[Unit, ...]:
    service = _template(texts.service).render(reassert_script=REASSERT_SCRIPT, runs_docker=docker)
    return (
        Unit("dockmesh.service", service),
        Unit("dockmesh.timer", _template(texts.timer).render(interval_s=_REASSERT_S)),
    )


def _firewall(
    fleet: Fleet, host: Host, facts: HostFacts, family: Family, docker: HostState
) -> Iterator[AcceptRules | NftTable]:
    """The firewall of a family; nothing for a host without a prefix of it or without peers."""
    no_rules = host.docker and family == IPV6 and not facts.docker_uses_nftables and family not in facts.docker_user
    options = FirewallOptions(
        fleet.settings.mark,
        own_source=not fleet.settings.source_nat,
        closed=no_rules or (family == IPV4 and _opened_direct_routing(facts, docker)),
        outbound=no_rules or not host.docker,
    )
    if table := nft_table(host, peers(fleet, host), facts, family, options):
        yield table
        yield from accept_rules(host, facts, family, options)


def _opened_direct_routing(facts: HostFacts, docker: HostState) -> bool:
    """Whether dockmesh enabled direct routing. If the operator did, other hosts may have to reach containers."""
    return facts.docker_uses_nftables and docker_nftables.opened_direct_routing(docker)


def _docker_resources(
    fleet: Fleet, host: Host, facts: HostFacts, docker: DockerFacts, *, smallest: SmallestUplink, texts: Templates
) -> tuple[Resource, ...]:
    file = facts.file(DAEMON_JSON)
    joins = host.ipv6 is not None and host.ipv6.bridge is not None
    record = docker_nftables.record_backend(original.recorded_or_current(facts), facts, fleet.settings.mark)
    # A host that leaves the IPv6 mesh gets its original IPv6 settings.
    leaving = record if not joins and _ipv6_is_ours(facts) else None
    address_pools = pools(fleet, host, facts, leaving.docker if leaving else None)
    text = daemon_json.merge(
        facts.daemon_json,
        daemon_json_keys(host, facts, address_pools, texts) | docker_nftables.required_keys(facts, fleet.settings.mark),
        stale=(*(daemon_json.IPV6_KEYS if leaving else ()), *docker_nftables.stale_keys(facts)),
        original=record.daemon_json,
    )
    mtus = mtu.plan_mtu(facts, docker, smallest)
    text = daemon_json.with_values(text, mtus.values)
    bridge = DockerNetworking(
        host.bridge,
        address_pools,
        address6=_address6(host, facts, leaving),
        mtu=mtu.docker0_mtu(facts, text),
        admission=daemon_json.nft_admission(text, nftables=facts.docker_uses_nftables),
    )
    return (
        original.dump_original(replace(record, set_mtu=mtus.set_mtu), facts),
        File(DAEMON_JSON, text, file.mode if file else "644"),
        mtu.keep_running_mtu(facts, bridge, text, smallest),
        *_ipv6_forwarding(facts, leaving, on=joins),
    )


def _address6(host: Host, facts: HostFacts, leaving: original.OriginalState | None) -> IPv6Interface | None:
    """docker0's IPv6 address. A host outside the IPv6 mesh keeps its address, or gets the original one."""
    if host.ipv6 and isinstance(host.ipv6.bridge, IPv6Interface):
        return host.ipv6.bridge
    bridge = leaving.docker if leaving else facts.actual.docker
    return bridge.address6 if bridge else None


def _ipv6_forwarding(facts: HostFacts, leaving: original.OriginalState | None, *, on: bool) -> tuple[Forwarding, ...]:
    """IPv6 forwarding. Docker enables it for its first IPv6 network; the plan includes it for the revert."""
    forwarding = leaving.forwarding if leaving else facts.actual.of(Forwarding)
    return tuple(replace(each, on=each.on or on) for each in forwarding if each.family == IPV6)


def _restored_ipv6_forwarding(facts: HostFacts, before: Sequence[Forwarding]) -> tuple[Forwarding, ...]:
    """IPv6 forwarding as `before`, or the current one if it was not enabled for the mesh."""
    forwarding = before if facts.docker and _ipv6_is_ours(facts) else facts.actual.of(Forwarding)
    return tuple(each for each in forwarding if each.family == IPV6)


def _ipv6_is_ours(facts: HostFacts) -> bool:
    """Whether dockmesh enabled IPv6 on the host. Only its rules show that, since operators use the same keys."""
    ours: Iterator[AcceptRules | NftTable] = chain(facts.actual.of(AcceptRules), facts.actual.of(NftTable))
    families = {each.family for each in ours}
    script = facts.file(REASSERT_SCRIPT)
    # The rules may be flushed at the moment, but the script that restores them remains.
    return IPV6 in families or (script is not None and steps.restores_ipv6(script.text))
