"""What a host offers to be probed: the script that finds it, or makes it, and what its answer says."""

from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from itertools import islice

from dockmesh.core.model import Host
from dockmesh.core.reach import Target
from dockmesh.core.sections import Section, quoted, reading
from dockmesh.core.standing import SCRIPT, standing
from dockmesh.core.texts import Texts

_HOLD_S = 120
_CANDIDATES = 16


def target_script(host: Host, texts: Texts, *, offset: int, hold_s: int = _HOLD_S) -> str:
    """The script that finds, or makes, what `host` offers to be probed, for at most `hold_s` seconds.

    `offset` spreads concurrent runs' choices.
    """
    lines = (texts.sections, texts.probe, *target_lines(host, offset=offset, hold_s=hold_s))
    return "\n".join((*lines, "section end true", ""))


def target_lines(host: Host, *, offset: int, hold_s: int) -> Iterator[str]:
    """What of `target_script` stands behind sections.sh and probe.sh."""
    yield "section addresses ip -o -4 addr show"
    yield SCRIPT
    if host.bridge:
        network = host.bridge.network
        count = network.num_addresses - 2
        downwards = (network[1 + (count - 1 - offset - at) % count] for at in range(count))
        free = islice((address for address in downwards if address != host.bridge.ip), _CANDIDATES)
        words = (str(hold_s), str(host.bridge.ip), str(network.prefixlen), *map(str, free))
        yield f"section target container_target {' '.join(words)}"


def target(host: Host, sections: Mapping[str, Section]) -> Target:
    """Read the answer of `target_script`.

    Raises:
        HostError: it is not what the script writes.
    """
    found = standing(sections)
    if not host.docker:
        return Target(bridge=_address_within(host, sections["addresses"]), standing=found)
    bridge = host.bridge.ip if host.bridge else None
    section = sections["target"]
    if section.status != 0:
        return Target(bridge=bridge, error=_no_container(host, section), standing=found)
    with reading("target"):
        address, pid, what = section.text.split()
        return Target(bridge, IPv4Address(address), int(pid), held=what == "namespace", standing=found)


def unread(host: Host) -> Target:
    """What a host that could not be asked offers all the same: the bridge that the inventory gives it."""
    error = f"{host.name} could not be asked for it"
    return Target(bridge=host.bridge.ip if host.bridge else None, error=error)


def _no_container(host: Host, section: Section) -> str:
    if section.text == "docker.service is not active":
        return f"Docker is not running on {host.name}: systemctl start docker"
    return f"{host.name} has no container to probe: {quoted(section.text)}"


def release_script(pid: int, texts: Texts) -> str:
    """The script that ends a namespace held for probing."""
    return "\n".join((texts.sections, texts.probe, f"section release release {pid}", "section end true", ""))


def _address_within(host: Host, section: Section) -> IPv4Address | None:
    """The address a host without Docker has in its prefix, on whichever bridge."""
    for line in section.lines():
        words = line.split()
        try:
            address = IPv4Address(words[words.index("inet") + 1].split("/")[0])
        except (ValueError, IndexError, AddressValueError):
            continue
        if host.prefix and address in host.prefix:
            return address
    return None
