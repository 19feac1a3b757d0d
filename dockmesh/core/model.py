"""The types the whole of dockmesh speaks in: frozen, slotted, compared by value.

Addresses are `ipaddress` objects. Desired and actual state share one type, so that planning is subtraction.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal


@dataclass(frozen=True, slots=True)
class Login:
    """How SSH reaches a host. None leaves the choice to ~/.ssh/config, then to SSH's own default."""

    address: str
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None
    known_hosts: str | None = None
    host_key_policy: Literal["strict", "accept-new"] = "strict"
    become: Literal["none", "sudo"] = "none"
    jump: str | None = None
    netns: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the fleet. Without Docker it has no bridge; without a prefix nothing is routed to it."""

    name: str
    underlay: IPv4Address
    prefix: IPv4Network | None
    bridge: IPv4Interface | None
    docker: bool
    login: Login
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole mesh."""

    name: str = "mesh"
    pool: IPv4Network | None = None
    prefix_length: int = 24
    source_nat: bool = False
    confirm_within_s: int = 60


@dataclass(frozen=True, slots=True)
class Fleet:
    """The inventory as dockmesh works with it: valid, complete, in the file's order."""

    settings: Settings
    hosts: tuple[Host, ...] = field(default=())
