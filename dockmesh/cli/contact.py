"""The way from a call's options to a run over SSH."""

import getpass
import json
import logging
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from dockmesh.cli.options import Options
from dockmesh.core.model import Fleet, Host, Settings
from dockmesh.core.rollout import Rollout
from dockmesh.pipeline import JOIN, Goal, Pipeline, Request
from dockmesh.remote.ssh import SshTransport
from dockmesh.report.console import console
from dockmesh.report.progress import Display

_OFFSETS = 64


@contextmanager
def contact(
    options: Options,
    goal: Goal = JOIN,
    rollout: Rollout | None = None,
    *,
    whole: Fleet | None = None,
    quiet: bool = False,
    strangers: tuple[Host, ...] = (),
) -> Iterator[Pipeline]:
    """The run that the options describe; its progress goes to stderr unless it shall be `quiet`.

    With `whole`, that fleet is what the inventory means, and --limit leaves no host of it out. `strangers` are in no
    inventory yet, and know no peers.

    Raises:
        UsageError: the inventory or --limit is wrong; nobody was contacted.
    """
    fleet = Fleet(Settings()) if strangers else whole or options.fleet()
    if options.verbose and not strangers:
        click.echo(f"inventory: {options.named()}", err=True)
    request = Request(
        fleet=fleet,
        hosts=strangers or (fleet.hosts if whole else options.hosts(fleet)),
        run=f"{getpass.getuser()}@{socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        goal=goal,
        rollout=rollout or Rollout(),
        offset=secrets.randbelow(_OFFSETS),
        forks=options.forks,
        timeout_s=options.timeout_s,
    )
    # paramiko reports what it also raises; people see it once, as a host's error.
    logging.getLogger("paramiko").setLevel(logging.DEBUG if options.verbose > 1 else logging.CRITICAL)
    transport = partial(SshTransport, timeout_s=options.timeout_s)
    err = console(sys.stderr, color=options.color)
    err.quiet = quiet
    with Display(err) as display, Pipeline(request, transport, display) as pipeline:
        yield pipeline


def print_json(result: dict[str, Any]) -> None:
    """The one document on stdout."""
    click.echo(json.dumps(result, indent=2))
