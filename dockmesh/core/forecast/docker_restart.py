"""What a restart of Docker makes of a host: docker0 is new, containers have other addresses, and rules follow them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from dockmesh.core.addresses import host_network
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.iptables_tables import IptablesRuleset


def after_restart(at: HostModel, facts: HostFacts, bridge: IPv4Interface) -> tuple[HostModel, list[IPv4Address]]:
    """The host with docker0 on that address, and the addresses of the containers that are there then."""
    running = [each for each in (facts.docker.containers if facts.docker else ()) if each.address]
    stay = [each.address for each in running if each.address and not each.auto_remove]
    free = (address for address in bridge.network.hosts() if address != bridge.ip)
    moved = dict(zip(stay, free, strict=False))
    words = {str(host_network(old)): str(host_network(new)) for old, new in moved.items()}
    if at.docker0:
        words[str(at.docker0.network)] = str(bridge.network)
    gone = {str(host_network(each.address)) for each in running if each.address and each.address not in moved}
    chains = {place: tuple(_followed(rules, words, gone)) for place, rules in at.iptables.chains.items()}
    others = tuple(each for each in at.addresses if each[0] != DOCKER_BRIDGE)
    now = replace(
        at, addresses=(*others, (DOCKER_BRIDGE, bridge)), iptables=IptablesRuleset(chains, at.iptables.policies)
    )
    return now if at.interface_sysctls("all").forwarding else _opened(now), list(moved.values())


def _opened(at: HostModel) -> HostModel:
    """Docker lets a host forward that did not, and closes it then."""
    policies = {**at.iptables.policies, ("filter", "FORWARD"): "DROP"}
    switches = {device: replace(each, forwarding=True) for device, each in at.sysctls.items()}
    return replace(at, sysctls=switches, iptables=IptablesRuleset(at.iptables.chains, policies))


def _followed(rules: Sequence[str], words: Mapping[str, str], gone: Collection[str]) -> Iterator[str]:
    """Docker's rules name docker0's network and its containers; those about a container that is gone go."""
    for rule in rules:
        parts = rule.split(" ")
        if DOCKER_BRIDGE not in parts:
            yield rule
        elif not any(part in gone for part in parts):
            yield " ".join(words.get(part, part) for part in parts)
