"""Who hears how a run goes on: the terminal, the one who wants to see the scripts, the log."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from dockmesh.cli.options import Options
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.report.console.terminal import console
from dockmesh.report.event_log import EventLog
from dockmesh.report.events import Listener, Several
from dockmesh.report.progress import ProgressDisplay
from dockmesh.report.scripts import Scripts


@contextmanager
def observers(options: Options, *, quiet: bool) -> Iterator[Listener]:
    """What the options ask for, on stderr unless it shall be `quiet`, and in the log.

    Raises:
        UsageError: the log cannot be written.
    """
    err = console(sys.stderr, color=options.color)
    err.quiet = quiet or options.quiet
    with ExitStack() as stack:
        listeners: list[Listener] = [Scripts(err)] if options.verbose > 1 else []
        if options.log_file is not None:
            listeners.append(stack.enter_context(_journal(options.log_file)))
        listeners.append(stack.enter_context(ProgressDisplay(err)))
        yield Several(listeners)


@contextmanager
def _journal(file: Path) -> Iterator[EventLog]:
    try:
        journal = EventLog(file, click.get_current_context().info_name or "")
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror or error}: no log can be written there", code=UsageCode.CANNOT_WRITE
        ) from error
    try:
        with journal:
            yield journal
    finally:
        if journal.broken:
            click.echo(f"{file}: {journal.broken}: the log is incomplete", err=True)
