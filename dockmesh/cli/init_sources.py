"""Where `init` has its hosts from."""

import socket
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Address
from pathlib import Path

import click
from paramiko import SSHException

from dockmesh.cli.inventory_files import text_of
from dockmesh.core.onboarding import ansible
from dockmesh.core.onboarding.candidates import (
    Candidate,
    SourceLocation,
    duplicates,
    host_name,
    parse_argument,
    parse_value,
)
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import InvalidValueError, InventoryError, Problem, UsageError
from dockmesh.remote.ssh.config import USER, SshConfig

_VARIABLES = ("group_vars", "host_vars")


def candidates(pattern: str | None, file: Path | None, hosts: Iterable[str]) -> tuple[Candidate, ...]:
    """The hosts of all sources.

    Raises:
        UsageError: all that is wrong in them, with its places; or there is no host.
    """
    problems: list[Problem] = []
    found: list[Candidate] = []
    sources: list[Callable[[], Iterable[Candidate]]] = [lambda: _arguments(hosts)]
    if file is not None:
        sources.insert(0, lambda: _of_ansible(file))
    if pattern is not None:
        sources.insert(0, lambda: _of_ssh(pattern))
    for source in sources:
        try:
            found += source()
        except InventoryError as error:
            problems += error.problems
    problems += duplicates(found)
    if problems:
        raise InventoryError(problems)
    if not found:
        raise UsageError(
            "no hosts: name some, or --ssh-config 'PATTERN', or --ansible FILE with hosts in it",
            code=UsageCode.NO_HOSTS,
        )
    return tuple(found)


def addresses_of(hosts: Iterable[Candidate]) -> dict[str, IPv4Address]:
    """Where they are, by what ~/.ssh/config and the name service say; without those that nobody knows."""
    config = SshConfig()
    return {each.name: address for each in hosts if (address := _looked_up(each.address, config))}


def _of_ssh(pattern: str) -> list[Candidate]:
    """By their names alone: what else the configuration says of them, it says whenever dockmesh logs in."""
    found: list[Candidate] = []
    problems: list[Problem] = []
    entries = SshConfig([USER]).entries
    matching = [entry for name, entry in entries.items() if fnmatchcase(name, pattern)]
    if not matching:
        raise UsageError(
            f"{USER}: no Host entry is called {quoted(pattern)}{did_you_mean(pattern, [*entries], most=3)}",
            code=UsageCode.UNKNOWN_HOST,
        )
    for entry in matching:
        place = SourceLocation(entry.file, entry.line, 1)
        try:
            found.append(Candidate(host_name(entry.name), str(parse_value("address", entry.name)), place))
        except InvalidValueError as why:
            problems.append(place.problem(why.code, f"host {why}"))
    return _sound(found, problems)


def _of_ansible(file: Path) -> list[Candidate]:
    text = text_of(file, advice="the Ansible inventory cannot be read")
    beside = [name for name in _VARIABLES if (file.parent / name).is_dir()]
    if beside:
        click.echo(f"note: variables in {' and '.join(beside)} beside {file} are not read", err=True)
    return ansible.parse_ansible(text, file=str(file))


def _arguments(hosts: Iterable[str]) -> list[Candidate]:
    found: list[Candidate] = []
    problems: list[Problem] = []
    for each in hosts:
        try:
            found.append(parse_argument(each))
        except InvalidValueError as why:
            problems.append(SourceLocation("HOST").problem(why.code, str(why)))
    return _sound(found, problems)


def _sound(found: list[Candidate], problems: list[Problem]) -> list[Candidate]:
    if problems:
        raise InventoryError(problems)
    return found


def _looked_up(name: str, configuration: SshConfig) -> IPv4Address | None:
    try:
        hostname = configuration.options(name).get("hostname", name)
        found = socket.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)
        return IPv4Address(found[0][4][0])
    except (OSError, ValueError, SSHException):
        return None
