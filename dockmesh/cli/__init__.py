"""The command line: arguments to the pipeline, results to an exit status. The only place that exits."""

import gc
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from dockmesh import __version__
from dockmesh.errors import DockmeshError, ExitStatus, UsageError

# Verbs and the modules they live in: a verb's libraries are loaded when it is called, not for --version and --help.
_VERBS = {
    "init": ("dockmesh.cli.init", "Write an inventory to begin with, from what knows the hosts already."),
    "validate": ("dockmesh.cli.validate", "Check the inventory without contacting anyone."),
    "allocate": ("dockmesh.cli.allocate", "Propose prefixes for hosts that lack one, or write them down."),
    "plan": ("dockmesh.cli.plan", "Show what apply would change, and why; change nothing."),
    "apply": ("dockmesh.cli.apply", "Join the hosts: plan, ask, change, verify."),
    "status": ("dockmesh.cli.status", "Probe the mesh and show who reaches whom."),
    "diff": ("dockmesh.cli.diff", "Compare two results: what was lost since, and what was mended."),
    "report": ("dockmesh.cli.report", "Write a saved result as HTML, JUnit, Markdown or Prometheus gauges."),
    "explain": ("dockmesh.cli.explain", "Walk the way between two hosts; name what breaks it, and the remedy."),
    "trace": ("dockmesh.cli.trace", "Capture one ping at every hop, there and back."),
    "rollback": ("dockmesh.cli.apply", "Put each host back to before the last apply that changed it."),
    "destroy": ("dockmesh.cli.apply", "Take the mesh off the hosts, and leave them as they were found."),
    "schema": ("dockmesh.cli.schema", "Print the inventory's JSON Schema."),
    "lab": ("dockmesh.cli.lab", "Real Debian hosts with Docker on this machine, to try dockmesh on."),
}
# Python looks for garbage after every 700; among what is imported there is none.
_OBJECTS_MADE = 100_000


class _Verbs(click.Group):
    """The verbs, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        module, _help = _VERBS[cmd_name]
        command: click.Command = getattr(import_module(module), cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The verbs that begin so, none of them imported; and the group's own options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 (nobody else needs it)

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(verb, help=text) for verb, (_module, text) in _VERBS.items() if verb.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in _VERBS.items()])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DOCKMESH"})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Join Docker hosts into one plain-IP network over SSH: no overlay, no agent, no Kubernetes.

    Example: dockmesh plan -i mesh.yml
    """


def main() -> None:
    """Run the command line and exit."""
    gc.set_threshold(_OBJECTS_MADE)
    try:
        status = _status()
        # The verdict is printed: Ctrl-C would give another one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()
    # The interpreter would wait for a thread that hangs in a connect, and look for garbage in all it has.
    os._exit(status)


def _status() -> int:
    _carry_all_names()
    try:
        result = cli.main(prog_name="dockmesh", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UsageError.exit_status
    except click.ClickException as error:
        error.show()
        return UsageError.exit_status
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return ExitStatus.INTERRUPTED
    except DockmeshError as error:
        click.echo(str(error), err=True)
        return error.exit_status
    except BrokenPipeError:
        # The reader of stdout has gone; Python would say so once more when it flushes at exit.
        _discard_stdout()
        return ExitStatus.INTERRUPTED
    except OSError as error:
        # What hosts and files do is said by whoever met it; this is a full disk behind stdout, or the like.
        _discard_stdout()
        click.echo(f"dockmesh cannot go on: {error}", err=True)
        return DockmeshError.exit_status
    return result if isinstance(result, int) else 0


def _discard_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _carry_all_names() -> None:
    """A file's name that stdout has no characters for is shown escaped, and ends no run."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
