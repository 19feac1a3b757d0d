"""The consumers of a run's events: the progress display, the script display and the log."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from dockmesh.cli.options import Options
from dockmesh.core.events import EventSink, send_to_all
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.report.console.terminal import console
from dockmesh.report.event_log import EventLog
from dockmesh.report.progress import ProgressDisplay
from dockmesh.report.scripts import ScriptDisplay


@contextmanager
def open_event_sink(options: Options, *, quiet: bool) -> Iterator[EventSink]:
    """One sink for all consumers that the options ask for. The displays use stderr, unless the run is `quiet`.

    Raises:
        UsageError: the log cannot be written.
    """
    err = console(sys.stderr, color=options.color)
    err.quiet = quiet or options.quiet
    with ExitStack() as stack:
        sinks: list[EventSink] = [ScriptDisplay(err)] if options.verbose > 1 else []
        if options.log_file is not None:
            sinks.append(stack.enter_context(_open_log(options.log_file)))
        sinks.append(stack.enter_context(ProgressDisplay(err)))
        yield send_to_all(*sinks)


@contextmanager
def _open_log(file: Path) -> Iterator[EventLog]:
    try:
        log = EventLog(file, click.get_current_context().info_name or "")
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror or error}: no log can be written there", code=UsageCode.CANNOT_WRITE
        ) from error
    try:
        with log:
            yield log
    finally:
        if log.broken:
            click.echo(f"{file}: {log.broken}: the log is incomplete", err=True)
