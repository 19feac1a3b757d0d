"""A run over SSH, set up from the options of a command."""

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
from dockmesh.cli.messages import print_message
from dockmesh.cli.options import Options
from dockmesh.core.model import Fleet, Host, Settings
from dockmesh.core.planning.goal import Goal
from dockmesh.core.rollout.batches import Rollout
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.pipeline import JOIN, Pipeline, RunRequest
from dockmesh.remote.observed import ObservedTransport
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.connect import identity_files
from dockmesh.remote.ssh.keys import Keys
from dockmesh.remote.ssh.secret import Secret, ask
from dockmesh.remote.ssh.session import SshTransport

_PROBE_OFFSETS = 64
_SEED_BITS = 64


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
    """The run that the options describe. It names its inventory and shows its progress on stderr unless `quiet`.

    `fleet_override` replaces the inventory's fleet, and --limit does not apply to it. `unlisted` hosts are in no
    inventory and have no peers.

    Raises:
        UsageError: the inventory or --limit is wrong. No host was contacted.
    """
    fleet = Fleet(Settings()) if unlisted else fleet_override or options.fleet()
    hosts = unlisted or (fleet.hosts if fleet_override else options.hosts(fleet))
    if not (unlisted or quiet or options.quiet):
        print_message(f"inventory: {options.inventory_name()}")
    request = _request(options, fleet, hosts, goal, rollout or Rollout())
    # paramiko logs the errors that it raises. Users see them once, as the error of a host.
    logging.getLogger("paramiko").setLevel(logging.DEBUG if options.verbose > 1 else logging.CRITICAL)
    configuration = SshConfig()
    password = _password(request.hosts) if options.ask_become_pass else None
    keys = _keys(request.hosts, configuration)
    try:
        order = [host.name for host in unlisted or fleet.hosts]
        with open_event_sink(options, order, quiet=quiet) as emit:

            def transport() -> ObservedTransport:
                ssh = SshTransport(
                    configuration,
                    timeout_s=options.timeout_s,
                    connect_timeout_s=options.connect_timeout_s,
                    password=password,
                    keys=keys,
                )
                return ObservedTransport(ssh, emit)

            with Pipeline(request, transport, emit) as pipeline:
                yield pipeline
    finally:
        for name in sorted(configuration.unsupported):
            print_message(f"note: the SSH configuration contains {name}, which dockmesh does not support and ignores")


def _request(options: Options, fleet: Fleet, hosts: tuple[Host, ...], goal: Goal, rollout: Rollout) -> RunRequest:
    return RunRequest(
        fleet=fleet,
        hosts=hosts,
        run=f"{getpass.getuser()}@{socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        goal=goal,
        rollout=rollout,
        offset=secrets.randbelow(_PROBE_OFFSETS),
        seed=secrets.randbits(_SEED_BITS),
        forks=options.forks,
        timeout_s=options.timeout_s,
    )


def _password(hosts: tuple[Host, ...]) -> Secret | None:
    """The sudo password, the same for all hosts; None if no host uses sudo."""
    if all(host.login.become == "none" for host in hosts):
        return None
    password = ask("sudo password", "SUDO_ASKPASS", "SSH_ASKPASS")
    if password is None:
        raise UsageError(
            "--ask-become-pass: no terminal to ask on, and no answer from SUDO_ASKPASS or SSH_ASKPASS. "
            "Fix: run it on a terminal, or set SUDO_ASKPASS",
            code=UsageCode.NO_TERMINAL,
        )
    return password


def _keys(hosts: Iterable[Host], configuration: SshConfig) -> Keys:
    """The keys of the run, unlocked. Passphrases are asked for before progress is shown."""
    keys = Keys()
    try:
        logins = [(host.login, configuration.options(host.login.address)) for host in hosts]
    except (ValueError, KeyError, SSHException):
        return keys  # each host reports this as its own error
    for file in dict.fromkeys(file for login, configured in logins for file in identity_files(login, configured)):
        keys.unlock(file, _passphrase)
    return keys


def _passphrase(question: str) -> Secret | None:
    return ask(question, "SSH_ASKPASS")


def print_json(result: dict[str, Any]) -> None:
    """Print the JSON document of the command on stdout."""
    click.echo(json.dumps(result, indent=2))
