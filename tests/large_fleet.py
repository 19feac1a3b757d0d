"""The rules that dockmesh installs on hosts of a lab in a larger fleet, for the lab tests and the benchmark."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice

from dockmesh.core.desired.host_state import desired
from dockmesh.core.desired.routing import underlays
from dockmesh.core.desired.uplinks import smallest_uplink
from dockmesh.core.facts.host_facts import HostFacts, parse_facts
from dockmesh.core.facts.script import facts_script
from dockmesh.core.inventory import parse
from dockmesh.core.model import Fleet, Host
from dockmesh.core.state.diff import as_additions
from dockmesh.core.state.resources import AcceptRules, HostState, NftTable, Route
from dockmesh.core.state.steps import shell_steps
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import CONTROLLER6
from dockmesh.pipeline import TEMPLATES

# On the lab's LAN above its hosts, and beside its pools.
_FIRST, _POOL = IPv4Address("192.168.20.1"), IPv4Network("10.0.0.0/9")
_POOL6 = IPv6Network("fd00:11::/40")
# The start of every script that changes a host. `restored` would report each change.
PRELUDE = f"{TEMPLATES.output}\n{TEMPLATES.network_steps}\nrestored() {{ :; }}"


def fleet_with(inventory: str, peers: int, *, ipv6: bool = False) -> Fleet:
    """The fleet of an inventory of the lab and of further hosts, so that each host has this number of peers."""
    more = peers + 1 - len(parse(inventory, file="mesh.yml").hosts)
    pool = next(line for line in inventory.splitlines(keepends=True) if line.startswith("  pool:"))
    text = inventory.replace(pool, "").replace("  prefix_length:", "  #")
    return parse("".join((text, *islice(_lines(ipv6=ipv6), more))), file="mesh.yml")


def _lines(*, ipv6: bool) -> Iterator[str]:
    prefixes = zip(_POOL.subnets(new_prefix=20), _POOL6.subnets(new_prefix=56), strict=False)
    for number, (prefix, prefix6) in enumerate(prefixes):
        address = _FIRST + number
        underlay6 = IPv6Address(int(CONTROLLER6.network.network_address) + int(address))
        six = f", underlay6: {underlay6}, prefix6: {prefix6}" if ipv6 else ""
        yield f"  peer{number}: {{ address: {address}, prefix: {prefix}{six} }}\n"


def states(lab: Lab, fleet: Fleet) -> dict[str, HostState]:
    """The routes, rules and sets of the lab's hosts in this fleet, by host name, from the facts that the hosts have."""
    hosts = [fleet.host(each.name) for each in lab.topology.hosts if each.name in fleet.positions]
    facts = {host.name: _facts(lab, fleet, host) for host in hosts}
    smallest = smallest_uplink(fleet, facts)
    wanted = {host.name: desired(fleet, host, facts[host.name], smallest, TEMPLATES) for host in hosts}
    return {name: HostState((*_of(state),)) for name, state in wanted.items()}


def _of(state: HostState) -> Iterator[NftTable | AcceptRules | Route]:
    yield from state.of(NftTable)
    yield from state.of(AcceptRules)
    yield from state.of(Route)


def _facts(lab: Lab, fleet: Fleet, host: Host) -> HostFacts:
    script = facts_script(TEMPLATES, underlays(fleet, host))
    return parse_facts(host, lab.run(host.name, ("sh", "-s"), text=script, check=True).stdout, datetime.now(UTC))


def put_script(state: HostState) -> str:
    """The script with which a host gets the routes and rules of a state, by dockmesh's own steps."""
    return "\n".join((PRELUDE, *checked_steps(state)))


def checked_steps(state: HostState) -> Iterator[str]:
    """The steps, each of which ends the script if it fails."""
    return (f"{step} || exit" for step in shell_steps(as_additions(state.resources)))


def put(lab: Lab, wanted: Mapping[str, HostState]) -> None:
    """Change the hosts to their states."""
    for name, state in wanted.items():
        lab.run(name, ("sh", "-s"), text=put_script(state), check=True)
