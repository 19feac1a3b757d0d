"""The command line: turns arguments into calls of the pipeline, and results into an exit status. Only this exits."""

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
from dockmesh.cli.command_group import CommandGroup
from dockmesh.cli.messages import print_message, print_usage_error
from dockmesh.errors import DockmeshError, ExitStatus, UsageError

# Each command with its module. --version and --help import none, so that they start fast.
_COMMANDS = {
    "init": ("dockmesh.cli.init", "Write a starting inventory from hosts that SSH or Ansible already knows."),
    "validate": ("dockmesh.cli.validate", "Check the inventory without contacting a host."),
    "allocate": ("dockmesh.cli.allocate", "Propose prefixes for hosts that have none, or write them."),
    "plan": ("dockmesh.cli.plan", "Show what apply would change and why."),
    "apply": ("dockmesh.cli.apply", "Join the hosts: plan, ask, change, verify."),
    "status": ("dockmesh.cli.status", "Probe the mesh and show which hosts reach which."),
    "diff": ("dockmesh.cli.diff", "Compare two saved results and list what was lost and what recovered."),
    "report": ("dockmesh.cli.report", "Write a saved result as HTML, JUnit, Markdown or Prometheus gauges."),
    "explain": ("dockmesh.cli.explain", "Check the path between two hosts and name the fault and its remedy."),
    "trace": ("dockmesh.cli.trace", "Capture one ping at every hop, in both directions."),
    "rollback": ("dockmesh.cli.apply", "Restore each host's state before the last apply that changed it."),
    "destroy": ("dockmesh.cli.apply", "Remove the mesh from the hosts and restore their original state."),
    "schema": ("dockmesh.cli.schema", "Print the JSON Schema of the inventory."),
    "lab": ("dockmesh.cli.lab", "Run real Debian hosts with Docker on this machine to try dockmesh."),
}
# By default, Python collects garbage after every 700 new objects. Imports create many objects and no garbage.
_GC_THRESHOLD = 100_000


class _Commands(CommandGroup):
    """The commands, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _help = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The commands that start with `incomplete`, without importing them; or the options of the group itself."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 (only completion needs it)

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=text)
            for name, (_module, text) in _COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in _COMMANDS.items()])


@click.command(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DOCKMESH"}
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Join Docker hosts into one plain-IP network over SSH: no overlay, no agent, no Kubernetes.

    Example: dockmesh plan -i mesh.yml
    """


def main() -> None:
    """Run the command line and exit."""
    gc.set_threshold(_GC_THRESHOLD)
    try:
        status = _status()
        # The result is printed, so Ctrl-C must not change the exit status any more.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()
    # A normal exit would wait for threads that hang in a connect, and collect garbage first.
    os._exit(status)


def _status() -> int:
    _escape_unencodable()
    try:
        result = cli.main(prog_name="dockmesh", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UsageError.exit_status
    except click.ClickException as error:
        print_usage_error(error)
        return UsageError.exit_status
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return ExitStatus.INTERRUPTED
    except DockmeshError as error:
        print_message(str(error))
        return error.exit_status
    except BrokenPipeError:
        # The reader of stdout is gone. Without this, Python would report it again when it flushes at exit.
        _discard_stdout()
        return ExitStatus.INTERRUPTED
    except OSError as error:
        # Errors of hosts and files are a DockmeshError by now. This is a full disk behind stdout, or similar.
        _discard_stdout()
        print_message(f"dockmesh cannot continue: {error}")
        return DockmeshError.exit_status
    return result if isinstance(result, int) else 0


def _discard_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escape_unencodable() -> None:
    """Print characters that stdout cannot encode (in the name of a file, for example) as escapes instead of failing."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
