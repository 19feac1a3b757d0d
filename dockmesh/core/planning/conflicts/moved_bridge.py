"""Uses of docker0's present addresses that end when docker0 moves to another network."""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

from dockmesh.core.addresses import FAMILIES, IPV4, Address, Interface
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.planning.conflicts.docker_flags import flag_remedy
from dockmesh.core.planning.findings import Conflict, ConflictCode, Note, NoteCode
from dockmesh.core.state import daemon_json

# Docker does not start if the gateway is outside docker0's network, or if it cannot bind an address.
_GATEWAYS = {"default-gateway", "default-gateway-v6"}
_BOUND_BY_DOCKER = {"hosts", "metrics-addr"}
# Docker starts, but containers that publish ports do not.
_BOUND_FOR_CONTAINERS = {"ip", "default-network-opts"}
# Docker connects to the address when it starts a container, except by UDP.
_CONNECTED_FOR_CONTAINERS = {"log-opts", "log-opt"}
_FLAG_KEYS = {"-H": "hosts", "--host": "hosts"}
_OWN_FLAGS = {f"--{key}" for key in (*daemon_json.OWN_KEYS, "default-address-pool")}
# Addresses of both families, perhaps with a port. The look-behind makes the search linear.
_ADDRESS = re.compile(r"(?<![\w.:])[\da-fA-F:][\da-fA-F.:]*")


@dataclass(frozen=True, slots=True)
class _Move:
    """The address of docker0 before and after a restart of Docker."""

    before: Interface
    after: Interface

    def ends(self, address: Address) -> bool:
        """Whether the host loses this address, or docker0's network no longer contains it."""
        if address == self.before.ip:
            return address != self.after.ip
        return address in self.before.network and address not in self.after.network


@dataclass(frozen=True, slots=True)
class _Use:
    """An address in the setting `name` of Docker, which is a key of daemon.json or a flag of dockerd."""

    place: str
    name: str
    text: str
    move: _Move

    @property
    def key(self) -> str:
        """The top-level key of daemon.json, also for a flag."""
        return _FLAG_KEYS.get(self.name, self.name.removeprefix("--").split(".", 1)[0])


def moved_bridge_conflicts(host: Host, facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    """Yield a conflict for each use of an old address without which Docker or a container cannot start."""
    for use in _uses(host, facts, docker):
        if effect := _effect(use):
            yield Conflict(
                ConflictCode.OLD_ADDRESS_NEEDED,
                use.place,
                f"{use.name} is {use.text}, but docker0 moves from {use.move.before} to {use.move.after}, so {effect}",
                _remedy(use, docker),
            )
    for move in _moves(host, facts):
        for container in docker.containers:
            if not container.auto_remove and move.before.ip in container.published and move.ends(move.before.ip):
                yield Conflict(
                    ConflictCode.OLD_ADDRESS_NEEDED,
                    f"container {container.name}",
                    f"it publishes a port on {move.before.ip}, but docker0 moves to {move.after}, so it cannot start "
                    "again",
                    "create the container again, and publish the port on another address of the host",
                )


def moved_bridge_notes(host: Host, facts: HostFacts, docker: DockerFacts) -> Iterator[Note]:
    """Yield a note for each other use of an old address in Docker's settings."""
    for use in _uses(host, facts, docker):
        if not _effect(use):
            yield Note(
                NoteCode.OLD_ADDRESS_NAMED,
                use.place,
                f"{use.name} is {use.text}, but docker0 moves from {use.move.before} to {use.move.after}",
                f"set it to {use.move.after.ip}, or to another address of the host, before dockmesh apply",
            )


def _effect(use: _Use) -> str | None:
    if use.key in _GATEWAYS | _BOUND_BY_DOCKER:
        return "Docker cannot start"
    if use.key in _BOUND_FOR_CONTAINERS:
        return "containers that publish ports cannot start"
    connects = use.key in _CONNECTED_FOR_CONTAINERS and "udp://" not in use.text
    return "containers that log there cannot start" if connects else None


def _remedy(use: _Use, docker: DockerFacts) -> str:
    if use.place != DAEMON_JSON:
        return flag_remedy(docker)
    if use.key in _GATEWAYS:
        return f"remove it; after dockmesh apply you can set it again, inside {use.move.after.network}"
    return "remove it, or use another address of the host"


def _moves(host: Host, facts: HostFacts) -> Iterator[_Move]:
    docker = facts.actual.docker
    for family in FAMILIES:
        stack = host.network(family)
        before = docker and (docker.address if family == IPV4 else docker.address6)
        if before and stack and stack.bridge and stack.bridge != before:
            yield _Move(before, stack.bridge)


def _uses(host: Host, facts: HostFacts, docker: DockerFacts) -> Iterator[_Use]:
    moves = tuple(_moves(host, facts))
    # An invalid file is a conflict of its own.
    with suppress(daemon_json.DaemonJsonError):
        texts = dict.fromkeys((*_settings(daemon_json.load(facts.daemon_json)), *_flags(docker.arguments)))
        for place, name, text in texts if moves else ():
            found = tuple(_addresses(text))
            yield from (_Use(place, name, text, move) for move in moves if any(map(move.ends, found)))


def _settings(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every text of daemon.json with its dotted key, except in the keys that dockmesh sets."""
    pending = deque((key, value) for key, value in document.items() if key not in daemon_json.OWN_KEYS)
    while pending:
        name, value = pending.popleft()
        if isinstance(value, str):
            yield DAEMON_JSON, name, value
        elif isinstance(value, dict):
            pending += [(f"{name}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            pending += [(name, each) for each in value]


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Every flag of dockerd with its value, from `FLAG=VALUE` or from the next argument."""
    for argument, following in pairwise((*arguments, "")):
        flag, equals, value = argument.partition("=")
        if flag.startswith("-") and flag not in _OWN_FLAGS:
            yield "docker", flag, value if equals else following


def _addresses(text: str) -> Iterator[Address]:
    for found in _ADDRESS.findall(text):
        for address in (found, found.rpartition(":")[0]):
            with suppress(ValueError):
                yield ip_address(address)
                break
