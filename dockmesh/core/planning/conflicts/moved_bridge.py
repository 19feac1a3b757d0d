"""Uses of docker0's present addresses that end when docker0 moves to another network."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

from dockmesh.core.addresses import FAMILIES, IPV4, Address, Interface
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.host_output import sanitize
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
# With these options, Docker's log drivers connect to the address when a container starts, except by UDP.
_LOG_ADDRESSES = {"fluentd-address", "gelf-address", "splunk-url", "syslog-address"}
# With these, they do not. The values are those of Go's ParseBool.
_TRUE, _FALSE = {"1", "t", "T", "true", "TRUE", "True"}, {"0", "f", "F", "false", "FALSE", "False"}
_WITHOUT_CONNECTION = {
    "fluentd-async": _TRUE,
    "fluentd-async-connect": _TRUE,  # until Docker 28
    "splunk-verify-connection": _FALSE,
}
_FLAG_KEYS = {
    "-H": "hosts",
    "--host": "hosts",
    "--default-network-opt": "default-network-opts",
    "--log-opt": "log-opts",
}
# The length of a name in a message. In a nested file the full names could be much longer than the file.
_NAME_CHARACTERS = 200
_OWN_FLAGS = {f"--{key}" for key in (*daemon_json.OWN_KEYS, "default-address-pool")}
# Addresses of both families, perhaps with a port or a prefix length. The look-behind makes the search linear.
_ADDRESS = re.compile(r"(?<![\w.:])([\da-fA-F:][\da-fA-F.:]*)(/\d)?")


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
class _Setting:
    """A text in Docker's settings. `key`: the top-level key of daemon.json, also for a flag of dockerd."""

    place: str
    key: str
    name: str
    text: str

    @property
    def log_option(self) -> str | None:
        """The option of the log driver that has this text."""
        return self.name.removeprefix("log-opts.").removeprefix("--log-opt ") if self.key == "log-opts" else None


@dataclass(frozen=True, slots=True)
class _Use:
    """A setting with addresses that end. `effect`: what cannot start then, if anything. `name`, `text`: for messages.

    `network`, `own`: whether a network, or docker0's own address, is among the addresses.
    """

    place: str
    key: str
    name: str
    text: str
    move: _Move
    effect: str | None
    network: bool
    own: bool

    @property
    def problem(self) -> str:
        return f"{self.name} is {self.text}, but docker0 moves from {self.move.before} to {self.move.after}"


def moved_bridge_conflicts(host: Host, facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    """Yield a conflict for each use of an old address without which Docker or a container cannot start."""
    for use in _uses(host, facts, docker):
        if use.effect:
            yield Conflict(
                ConflictCode.OLD_ADDRESS_NEEDED,
                use.place,
                f"{use.problem}, so {use.effect}",
                _remedy(use, docker) + _for_containers(use),
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
        if not use.effect:
            yield Note(
                NoteCode.OLD_ADDRESS_NAMED,
                use.place,
                use.problem,
                _note_remedy(use) + _for_containers(use),
            )


def _effect(setting: _Setting, *, logs_connect: bool) -> str | None:
    if setting.key in _GATEWAYS | _BOUND_BY_DOCKER:
        return "Docker cannot start"
    if setting.key in _BOUND_FOR_CONTAINERS:
        return "containers that publish ports cannot start"
    connects = logs_connect and setting.log_option in _LOG_ADDRESSES and "udp://" not in setting.text
    return "containers that log there cannot start" if connects else None


def _remedy(use: _Use, docker: DockerFacts) -> str:
    if use.place != DAEMON_JSON:
        return flag_remedy(docker)
    if use.key in _GATEWAYS:
        return f"remove it; after dockmesh apply you can set it again, inside {use.move.after.network}"
    return "remove it, or use another address of the host"


def _note_remedy(use: _Use) -> str:
    network = use.move.after.network
    # Docker ignores a fixed-cidr outside docker0's network.
    if use.key == "fixed-cidr":
        return f"remove it, or set it inside {network}"
    if use.network:
        return f"replace the network with {network} before dockmesh apply"
    if use.own:
        return f"replace the address with {use.move.after.ip}, or with another of the host, before dockmesh apply"
    return f"replace the address after dockmesh apply; containers then have addresses in {network}"


def _for_containers(use: _Use) -> str:
    return "; create existing containers again, because they keep their log options" * (use.key == "log-opts")


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
        yield from dict.fromkeys(_uses_of(moves, daemon_json.load(facts.daemon_json), docker) if moves else ())


def _uses_of(moves: Sequence[_Move], document: Mapping[str, Any], docker: DockerFacts) -> Iterator[_Use]:
    logs_connect = not any(
        each.text in _WITHOUT_CONNECTION.get(each.log_option or "", ()) for each in _settings(document, docker)
    )
    for setting in _settings(document, docker):
        effect = _effect(setting, logs_connect=logs_connect)
        for move in moves:
            if ending := [found for found in _addresses(setting.text) if move.ends(found[0])]:
                yield _Use(
                    setting.place,
                    setting.key,
                    sanitize(setting.name),
                    sanitize(setting.text),
                    move,
                    effect,
                    network=any(is_network for _address, is_network in ending),
                    own=any(address == move.before.ip for address, _is_network in ending),
                )


def _settings(document: Mapping[str, Any], docker: DockerFacts) -> Iterator[_Setting]:
    """Every text of daemon.json, except in the keys that dockmesh sets, and every flag of dockerd with a value."""
    for key, value in document.items():
        if key not in daemon_json.OWN_KEYS:
            yield from (_Setting(DAEMON_JSON, key, name, text) for name, text in _texts(key, value))
    for argument, following in pairwise((*docker.arguments, "")):
        flag, equals, value = argument.partition("=")
        if flag.startswith("-") and flag not in _OWN_FLAGS:
            key, text = _FLAG_KEYS.get(flag, flag.removeprefix("--")), value if equals else following
            option, _, option_text = text.partition("=")
            is_option = key == "log-opts"
            yield _Setting("docker", key, f"{flag} {option}" if is_option else flag, option_text if is_option else text)


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a value of daemon.json, with its dotted key."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(f"{name}.{key}"[:_NAME_CHARACTERS], each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(name, each)


def _addresses(text: str) -> Iterator[tuple[Address, bool]]:
    """Every address in a text, and whether it is that of a network. In a URL, a path may follow."""
    for found, length in _ADDRESS.findall(text):
        for address, is_network in ((found, bool(length) and "://" not in text), (found.rpartition(":")[0], False)):
            with suppress(ValueError):
                yield ip_address(address), is_network
                break
