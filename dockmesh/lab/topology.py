"""Topology of a lab as data: its name, size and releases determine all names, addresses and prefixes. No I/O."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from itertools import cycle, islice
from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError

POOL = IPv4Network("10.128.0.0/12")
PREFIX_LENGTH = 20
CONTROLLER = IPv4Interface("192.168.16.1/20")
SECOND = IPv4Network("172.30.0.0/20")
CONTROLLER6 = IPv6Interface("fd00:18::1/64")
POOL6 = IPv6Network("fd00:10:128::/48")
PREFIX_LENGTH6 = 56
RELEASES = ("bookworm", "trixie", "forky")
FOLDER = Path("/var/lib/dockmesh/lab")
MAX_HOSTS = 2 ** (PREFIX_LENGTH - POOL.prefixlen)

_BELOW_FIRST_HOST = IPv4Address("192.168.18.127")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
_HOST_LIKE = re.compile(r".*-host[0-9]+")
_RELEASE = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class LabHost:
    """One host: a Debian release at an address. `handle` is the name of its namespace and its control group.

    A `light` host has no Docker, for measurements with many hosts. A `varied` host has other network managers and
    firewalls, all disabled, and a network card without an address in a second LAN. A `disk` host has its files on an
    ext4 disk, which a power cut leaves as the host had synced it.
    """

    name: str
    handle: str
    release: str
    underlay: IPv4Interface
    prefix: IPv4Network
    prefix6: IPv6Network
    light: bool = False
    varied: bool = False
    disk: bool = False

    @property
    def bridge(self) -> IPv4Interface:
        """The bridge address of a light host, in its prefix."""
        return IPv4Interface((self.prefix.network_address + 1, 24))

    @property
    def underlay6(self) -> IPv6Interface:
        """The IPv6 underlay address, whose last bits are the IPv4 address."""
        address = IPv6Address(int(CONTROLLER6.network.network_address) + int(self.underlay.ip))
        return IPv6Interface((address, CONTROLLER6.network.prefixlen))

    @property
    def second(self) -> IPv4Interface:
        """Address for the network card in the second LAN."""
        last = int(self.underlay.ip) - int(CONTROLLER.network.network_address)
        return IPv4Interface((IPv4Address(int(SECOND.network_address) + last), SECOND.prefixlen))

    @property
    def mac(self) -> str:
        """MAC derived from the address: a new MAC after a reboot would leave stale neighbour entries on the peers."""
        return mac(self.underlay.ip)


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole lab: hosts on one switch. `fabric` is the network namespace of the switch and the controller."""

    name: str
    hosts: tuple[LabHost, ...]

    @property
    def fabric(self) -> str:
        """Name of the network namespace of the switch and the controller."""
        return fabric(self.name)

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases in use, in the order of the hosts."""
        return tuple(dict.fromkeys(host.release for host in self.hosts))

    def host(self, name: str) -> LabHost:
        """The host of that name; LabError with the known names if there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise LabError(f"lab {self.name}: no host {name!r}; the hosts are {known}", code=LabCode.UNKNOWN_HOST)


def topology(
    name: str,
    hosts: int,
    releases: tuple[str, ...] = RELEASES,
    *,
    light: bool = False,
    varied: bool = False,
    disk: bool = False,
) -> Topology:
    """Build the topology of a lab, whose hosts cycle through the releases."""
    _check(name, hosts, releases)
    prefixes = islice(POOL.subnets(new_prefix=PREFIX_LENGTH), hosts)
    prefixes6 = POOL6.subnets(new_prefix=PREFIX_LENGTH6)
    numbered = enumerate(zip(prefixes, prefixes6, cycle(releases), strict=False), start=1)
    plain = (_host(name, number, *rest) for number, rest in numbered)
    return Topology(name, tuple(replace(each, light=light, varied=varied, disk=disk) for each in plain))


def fabric(lab: str) -> str:
    """Name of the lab's fabric namespace, with which the handles of its hosts start."""
    return f"dockmesh-{lab}"


def is_handle(lab: str, text: str) -> bool:
    """Whether `text` is the handle of a host of the lab."""
    return re.fullmatch(rf"dockmesh-{re.escape(lab)}-host[0-9]+", text) is not None


def mac(address: IPv4Address) -> str:
    """A locally administered MAC whose last bytes are the address."""
    return ":".join(f"{octet:02x}" for octet in b"\x02\x00" + address.packed)


def check_name(name: str) -> None:
    """Raise LabError unless the name is valid for a lab and cannot be a namespace of another lab."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"invalid lab name {name!r}. Fix: use 1 to 16 of a-z, 0-9 and '-', first no '-'", code=LabCode.BAD_NAME
        )
    if _HOST_LIKE.fullmatch(name):
        raise LabError(
            f"invalid lab name {name!r}: it could be a host of lab {name.rpartition('-')[0]!r}. Fix: use another name",
            code=LabCode.BAD_NAME,
        )


def _check(name: str, hosts: int, releases: tuple[str, ...]) -> None:
    check_name(name)
    if not 1 <= hosts <= MAX_HOSTS:
        raise LabError(f"invalid number of hosts {hosts}. Fix: use 1 to {MAX_HOSTS}", code=LabCode.BAD_HOST_COUNT)
    if not releases or not all(map(_RELEASE.fullmatch, releases)):
        raise LabError(
            f"{','.join(releases)!r} is not a list of Debian releases. Fix: use for example {','.join(RELEASES)}",
            code=LabCode.BAD_RELEASES,
        )


def _host(lab: str, number: int, prefix: IPv4Network, prefix6: IPv6Network, release: str) -> LabHost:
    name = f"host{number}"
    underlay = IPv4Interface((_BELOW_FIRST_HOST + number, CONTROLLER.network.prefixlen))
    return LabHost(name, f"{fabric(lab)}-{name}", release, underlay, prefix, prefix6)
