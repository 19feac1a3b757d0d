"""The sources of hosts for init: ~/.ssh/config, an Ansible inventory and arguments."""

import socket
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Address
from pathlib import Path

from paramiko import SSHException

from dockmesh.cli.inventory_files import text_of
from dockmesh.cli.messages import print_message
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

_VARIABLE_FOLDERS = ("group_vars", "host_vars")


def candidates(pattern: str | None, file: Path | None, hosts: Iterable[str]) -> tuple[Candidate, ...]:
    """The hosts of all sources.

    Raises:
        UsageError: with every problem of the sources and its location, or if no source names a host.
    """
    problems: list[Problem] = []
    result: list[Candidate] = []
    sources: list[Callable[[], Iterable[Candidate]]] = [lambda: _from_arguments(hosts)]
    if file is not None:
        sources.insert(0, lambda: _from_ansible(file))
    if pattern is not None:
        sources.insert(0, lambda: _from_ssh_config(pattern))
    for source in sources:
        try:
            result += source()
        except InventoryError as error:
            problems += error.problems
    problems += duplicates(result)
    if problems:
        raise InventoryError(problems)
    if not result:
        raise UsageError(
            "no hosts. Fix: name hosts as arguments, with --ssh-config 'PATTERN', or with --ansible FILE",
            code=UsageCode.NO_HOSTS,
        )
    return tuple(result)


def addresses_of(hosts: Iterable[Candidate]) -> dict[str, IPv4Address]:
    """The hosts' addresses by name, from ~/.ssh/config and the resolver. Hosts that do not resolve are missing."""
    config = SshConfig()
    return {each.name: address for each in hosts if (address := _resolve(each.address, config))}


def _from_ssh_config(pattern: str) -> list[Candidate]:
    """The matching Host entries, by name alone, since every later login reads their options again."""
    result: list[Candidate] = []
    problems: list[Problem] = []
    entries = SshConfig([USER]).entries
    matching = [entry for name, entry in entries.items() if fnmatchcase(name, pattern)]
    if not matching:
        raise UsageError(
            f"{USER}: no Host entry matches {quoted(pattern)}{did_you_mean(pattern, [*entries], most=3)}",
            code=UsageCode.UNKNOWN_HOST,
        )
    for entry in matching:
        location = SourceLocation(entry.file, entry.line, 1)
        try:
            result.append(Candidate(host_name(entry.name), str(parse_value("address", entry.name)), location))
        except InvalidValueError as error:
            problems.append(location.problem(error.code, f"host {error}"))
    return _checked(result, problems)


def _from_ansible(file: Path) -> list[Candidate]:
    text = text_of(file, advice="name the Ansible inventory with --ansible FILE")
    ignored = [name for name in _VARIABLE_FOLDERS if (file.parent / name).is_dir()]
    if ignored:
        print_message(f"note: variables in {' and '.join(ignored)} next to {file} are not read")
    return ansible.parse_ansible(text, file=str(file))


def _from_arguments(hosts: Iterable[str]) -> list[Candidate]:
    result: list[Candidate] = []
    problems: list[Problem] = []
    for each in hosts:
        try:
            result.append(parse_argument(each))
        except InvalidValueError as error:
            problems.append(SourceLocation("HOST").problem(error.code, str(error)))
    return _checked(result, problems)


def _checked(candidates: list[Candidate], problems: list[Problem]) -> list[Candidate]:
    if problems:
        raise InventoryError(problems)
    return candidates


def _resolve(name: str, config: SshConfig) -> IPv4Address | None:
    try:
        hostname = config.options(name).get("hostname", name)
        records = socket.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)
        return IPv4Address(records[0][4][0])
    except (OSError, ValueError, SSHException):
        return None
