"""The way from a call's options to a run over SSH."""

import getpass
import json
import logging
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from paramiko import SSHException

from dockmesh.cli.event_sinks import open_event_sink
from dockmesh.cli.options import Options
from dockmesh.core.model import Fleet, Host, Settings
from dockmesh.core.rollout import Rollout
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.pipeline import JOIN, Goal, Pipeline, RunRequest
from dockmesh.remote.observed import ObservedTransport
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.connect import identity_files
from dockmesh.remote.ssh.keys import Keys
from dockmesh.remote.ssh.secret import Secret, ask
from dockmesh.remote.ssh.session import SshTransport

_OFFSETS = 64


@contextmanager
def open_run(
    options: Options,
    goal: Goal = JOIN,
    rollout: Rollout | None = None,
    *,
    fleet_override: Fleet | None = None,
    quiet: bool = False,
    unlisted: tuple[Host, ...] = (),
) -> Iterator[Pipeline]:
    """The run that the options describe; its progress goes to stderr unless it shall be `quiet`.

    With `whole`, that fleet is what the inventory means, and --limit leaves no host of it out. `strangers` are in no
    inventory yet, and know no peers.

    Raises:
        UsageError: the inventory or --limit is wrong; nobody was contacted.
    """
    fleet = Fleet(Settings()) if unlisted else fleet_override or options.fleet()
    if options.verbose and not unlisted:
        click.echo(f"inventory: {options.inventory_name()}", err=True)
    hosts = unlisted or (fleet.hosts if fleet_override else options.hosts(fleet))
    request = _request(options, fleet, hosts, goal, rollout or Rollout())
    # paramiko reports what it also raises; people see it once, as a host's error.
    logging.getLogger("paramiko").setLevel(logging.DEBUG if options.verbose > 1 else logging.CRITICAL)
    configuration = SshConfig()
    password = _password(request.hosts) if options.ask_become_pass else None
    keys = _keys(request.hosts, configuration)
    try:
        with open_event_sink(options, quiet=quiet) as emit:

            def transport() -> ObservedTransport:
                ssh = SshTransport(configuration, timeout_s=options.timeout_s, password=password, keys=keys)
                return ObservedTransport(ssh, emit)

            with Pipeline(request, transport, emit) as pipeline:
                yield pipeline
    finally:
        for name in sorted(configuration.unsupported):
            click.echo(f"the SSH configuration has {name}, which dockmesh does not know and passed over", err=True)


def _request(options: Options, fleet: Fleet, hosts: tuple[Host, ...], goal: Goal, rollout: Rollout) -> RunRequest:
    return RunRequest(
        fleet=fleet,
        hosts=hosts,
        run=f"{getpass.getuser()}@{socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        goal=goal,
        rollout=rollout,
        offset=secrets.randbelow(_OFFSETS),
        forks=options.forks,
        timeout_s=options.timeout_s,
    )


def _password(hosts: tuple[Host, ...]) -> Secret | None:
    """That of sudo, one for all hosts; None where none of them needs it."""
    if all(host.login.become == "none" for host in hosts):
        return None
    password = ask("sudo password", "SUDO_ASKPASS", "SSH_ASKPASS")
    if password is None:
        raise UsageError(
            "--ask-become-pass: there is no terminal to ask on, nor an answer by SUDO_ASKPASS or SSH_ASKPASS",
            code=UsageCode.NO_TERMINAL,
        )
    return password


def _keys(hosts: Iterable[Host], configuration: SshConfig) -> Keys:
    """The keys of the run, with the passphrases of those that need one asked before anything else is shown."""
    keys = Keys()
    try:
        logins = [(host.login, configuration.options(host.login.address)) for host in hosts]
    except (ValueError, KeyError, SSHException):
        return keys  # an error of each host, which says so
    for file in dict.fromkeys(file for login, configured in logins for file in identity_files(login, configured)):
        keys.unlock(file, _passphrase)
    return keys


def _passphrase(question: str) -> Secret | None:
    return ask(question, "SSH_ASKPASS")


def print_json(result: dict[str, Any]) -> None:
    """The one document on stdout."""
    click.echo(json.dumps(result, indent=2))
