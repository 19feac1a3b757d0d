"""Predicts how a restart of Docker changes the addresses, containers and firewall rules of a host."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from dockmesh.core.addresses import host_network
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.iptables_tables import IptablesRuleset


def after_restart(model: HostModel, facts: HostFacts, bridge: IPv4Interface) -> tuple[HostModel, list[IPv4Address]]:
    """Model of the host with docker0 on `bridge`, and the addresses of the containers that run afterwards."""
    running = [each for each in (facts.docker.containers if facts.docker else ()) if each.address]
    restarted = [each.address for each in running if each.address and not each.auto_remove]
    # Docker assigns addresses from the start of the network, in the order in which containers start.
    free = (address for address in bridge.network.hosts() if address != bridge.ip)
    moved = dict(zip(restarted, free, strict=False))
    replacements = {str(host_network(old)): str(host_network(new)) for old, new in moved.items()}
    if model.docker0:
        replacements[str(model.docker0.network)] = str(bridge.network)
    removed = {str(host_network(each.address)) for each in running if each.address and each.address not in moved}
    chains = {
        position: tuple(_updated_rules(rules, replacements, removed))
        for position, rules in model.iptables.chains.items()
    }
    others = tuple(each for each in model.addresses if each[0] != DOCKER_BRIDGE)
    restarted_model = replace(
        model, addresses=(*others, (DOCKER_BRIDGE, bridge)), iptables=IptablesRuleset(chains, model.iptables.policies)
    )
    forwards = model.interface_sysctls("all").forwarding
    return restarted_model if forwards else _with_forwarding(restarted_model), list(moved.values())


def _with_forwarding(model: HostModel) -> HostModel:
    """Enable forwarding as Docker does. Docker then also sets the policy of FORWARD to DROP."""
    policies = {**model.iptables.policies, ("filter", "FORWARD"): "DROP"}
    sysctls = {device: replace(each, forwarding=True) for device, each in model.sysctls.items()}
    return replace(model, sysctls=sysctls, iptables=IptablesRuleset(model.iptables.chains, policies))


def _updated_rules(rules: Sequence[str], replacements: Mapping[str, str], removed: Collection[str]) -> Iterator[str]:
    """Docker's rules with the new networks and addresses, without the rules of `removed` containers."""
    for rule in rules:
        parts = rule.split(" ")
        if DOCKER_BRIDGE not in parts:
            yield rule
        elif not any(part in removed for part in parts):
            yield " ".join(replacements.get(part, part) for part in parts)
