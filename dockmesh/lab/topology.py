"""A lab as data: names, addresses and prefixes follow from its name, its size and its releases. No I/O."""

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
MOST_HOSTS = 2 ** (PREFIX_LENGTH - POOL.prefixlen)

_BELOW_FIRST_HOST = IPv4Address("192.168.18.127")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
_LIKE_A_HOST = re.compile(r".*-host[0-9]+")
_RELEASE = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class LabHost:
    """One host: a Debian release at an address. `handle` names its namespace and its control group.

    A `light` one runs no Docker: many of them show what a fleet costs, and nothing about Docker. A `varied` one has
    other network managers and firewalls installed, all of them off, and a card in a second LAN, without an address.
    """

    name: str
    handle: str
    release: str
    underlay: IPv4Interface
    prefix: IPv4Network
    prefix6: IPv6Network
    light: bool = False
    varied: bool = False

    @property
    def bridge(self) -> IPv4Interface:
        """An address in its prefix, which a light host has on a bridge of its own."""
        return IPv4Interface((self.prefix.network_address + 1, 24))

    @property
    def underlay6(self) -> IPv6Interface:
        """Carries the other one, as the MAC does."""
        address = IPv6Address(int(CONTROLLER6.network.network_address) + int(self.underlay.ip))
        return IPv6Interface((address, CONTROLLER6.network.prefixlen))

    @property
    def second(self) -> IPv4Interface:
        """An address for the card in the second LAN."""
        last = int(self.underlay.ip) - int(CONTROLLER.network.network_address)
        return IPv4Interface((IPv4Address(int(SECOND.network_address) + last), SECOND.prefixlen))

    @property
    def mac(self) -> str:
        """Follows from the address: with a new one after a reboot the peers would keep a stale neighbour."""
        return mac(self.underlay.ip)


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole lab: hosts on one switch. `fabric` names the network namespace of switch and controller."""

    name: str
    hosts: tuple[LabHost, ...]

    @property
    def fabric(self) -> str:
        """The namespace of switch and controller."""
        return fabric(self.name)

    @property
    def releases(self) -> tuple[str, ...]:
        """Each release in use, once, in the order of the hosts."""
        return tuple(dict.fromkeys(host.release for host in self.hosts))

    def host(self, name: str) -> LabHost:
        """The host of that name; a LabError that lists the names there are where it is none of them."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise LabError(f"lab {self.name} has no host {name!r}; it has {known}", code=LabCode.UNKNOWN_HOST)


def topology(
    name: str, hosts: int, releases: tuple[str, ...] = RELEASES, *, light: bool = False, varied: bool = False
) -> Topology:
    """The lab of that name and size, its hosts cycling through the releases."""
    _check(name, hosts, releases)
    prefixes = islice(POOL.subnets(new_prefix=PREFIX_LENGTH), hosts)
    prefixes6 = POOL6.subnets(new_prefix=PREFIX_LENGTH6)
    numbered = enumerate(zip(prefixes, prefixes6, cycle(releases), strict=False), start=1)
    return Topology(
        name, tuple(replace(_host(name, number, *rest), light=light, varied=varied) for number, rest in numbered)
    )


def fabric(lab: str) -> str:
    """The name of the lab's fabric namespace; those of its hosts start with it."""
    return f"dockmesh-{lab}"


def is_handle(lab: str, text: str) -> bool:
    """Whether a namespace or control group of that name is a host of the lab."""
    return re.fullmatch(rf"dockmesh-{re.escape(lab)}-host[0-9]+", text) is not None


def mac(address: IPv4Address) -> str:
    """A locally administered MAC that carries the address."""
    return ":".join(f"{octet:02x}" for octet in b"\x02\x00" + address.packed)


def check_name(name: str) -> None:
    """Raise LabError unless the name can name a lab and no namespace of another lab."""
    if not _NAME.fullmatch(name):
        raise LabError(f"{name!r} cannot name a lab: 1 to 16 of a-z, 0-9 and -, the first no -", code=LabCode.BAD_NAME)
    if _LIKE_A_HOST.fullmatch(name):
        raise LabError(
            f"{name!r} cannot name a lab: it reads like a host of lab {name.rpartition('-')[0]!r}",
            code=LabCode.BAD_NAME,
        )


def _check(name: str, hosts: int, releases: tuple[str, ...]) -> None:
    check_name(name)
    if not 1 <= hosts <= MOST_HOSTS:
        raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts, not {hosts}", code=LabCode.BAD_HOST_COUNT)
    if not releases or not all(map(_RELEASE.fullmatch, releases)):
        raise LabError(
            f"{','.join(releases)!r} is no list of Debian releases such as {','.join(RELEASES)}",
            code=LabCode.BAD_RELEASES,
        )


def _host(lab: str, number: int, prefix: IPv4Network, prefix6: IPv6Network, release: str) -> LabHost:
    name = f"host{number}"
    underlay = IPv4Interface((_BELOW_FIRST_HOST + number, CONTROLLER.network.prefixlen))
    return LabHost(name, f"{fabric(lab)}-{name}", release, underlay, prefix, prefix6)
