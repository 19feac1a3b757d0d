"""The options that the commands share, and the inventory that they select."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from json import dumps
from pathlib import Path
from typing import Any

import click

from dockmesh import assets
from dockmesh.cli import completion
from dockmesh.cli.inventory_files import inventory_files, read_all, text_of
from dockmesh.core.inventory import fleet_of
from dockmesh.core.inventory.selection import select
from dockmesh.core.inventory.yaml_document import Document
from dockmesh.core.model import Fleet, Host
from dockmesh.error_codes import UsageCode
from dockmesh.errors import DockmeshError, UsageError
from dockmesh.report.json.problems import problems_document

_Option = tuple[tuple[str, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Options:
    """The values of the common options."""

    inventory: tuple[Path, ...]
    limit: str | None
    forks: int
    timeout_s: float
    json: bool
    verbose: int
    color: bool
    ask_become_pass: bool = False
    quiet: bool = False
    log_file: Path | None = None
    connect_timeout_s: float | None = None

    def fleet(self) -> Fleet:
        """The fleet of the inventory.

        Raises:
            UsageError: the inventory is missing, unreadable or invalid.
        """
        return fleet_of(*self.documents())

    def documents(self) -> tuple[Document, ...]:
        """The parsed files of the inventory, before validation. Errors as in `fleet`."""
        return read_all({file: text_of(file) for file in self.files()})

    def inventory_text(self) -> str:
        """The text of all files of the inventory.

        Raises:
            UsageError: the inventory is missing or unreadable.
        """
        return "\0".join(map(text_of, self.files()))

    def inventory_name(self) -> str:
        """The names of the inventory's files, for messages."""
        return ", ".join(map(str, self.files()))

    def files(self) -> tuple[Path, ...]:
        """The files of the inventory; see `inventory_files`."""
        return inventory_files(self.inventory)

    def hosts(self, fleet: Fleet) -> tuple[Host, ...]:
        """The hosts that --limit selects, in the fleet's order.

        Raises:
            UsageError: a term of --limit matches no host.
        """
        return select(fleet, self.limit) if self.limit is not None else fleet.hosts


def common(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the common options to a command. It receives them as its first argument."""
    return _with(verb, (*_OF_INVENTORY, *_OF_OUTPUT, *_OF_RUNS))


def offline(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `common`, for a command that contacts no host. It accepts the options of a run, but hides and ignores them."""
    return _with(verb, (*_OF_INVENTORY, *_OF_OUTPUT, *map(_hidden, _OF_RUNS)))


def without_inventory(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `common`, for a command whose hosts are in no inventory."""
    inventory, limit = _OF_INVENTORY
    return _with(verb, (_hidden(inventory), limit, *_OF_OUTPUT, *_OF_RUNS))


def from_files(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `offline`, for a command that reads saved results and needs no inventory."""
    return _with(verb, (*map(_hidden, (*_OF_INVENTORY, *_OF_RUNS)), *_OF_OUTPUT))


def _with(verb: Callable[..., Any], options: tuple[_Option, ...]) -> Callable[..., Any]:
    @wraps(verb)
    def call(
        *,
        inventory: tuple[Path, ...],
        limit: str | None,
        forks: int,
        timeout: float,
        connect_timeout: float | None,
        json: bool,
        verbose: int,
        color: bool,
        ask_become_pass: bool,
        quiet: bool,
        log_file: Path | None,
        **own: Any,
    ) -> Any:
        values = Options(
            inventory,
            limit,
            forks,
            timeout,
            json,
            verbose,
            color,
            ask_become_pass,
            quiet=quiet,
            log_file=log_file,
            connect_timeout_s=connect_timeout,
        )
        try:
            assets.check()
            if quiet and verbose:
                raise UsageError("-q and -v exclude each other. Fix: remove one", code=UsageCode.CONFLICTING_OPTIONS)
            return verb(values, **own)
        except DockmeshError as error:
            if json:
                click.echo(dumps(problems_document(error), indent=2))
            raise

    decorated: Callable[..., Any] = call
    for names, settings in reversed(options):
        decorated = click.option(*names, **settings)(decorated)
    return decorated


def _hidden(option: _Option) -> _Option:
    names, settings = option
    return names, {**settings, "hidden": True}


def _option(*names: str, **settings: Any) -> _Option:
    return names, settings


_OF_INVENTORY = (
    _option(
        "-i",
        "--inventory",
        type=click.Path(path_type=Path),
        multiple=True,
        envvar="DOCKMESH_INVENTORY",
        metavar="FILE",
        help="Inventory file, or folder of inventory files; repeatable. Default: $DOCKMESH_INVENTORY (paths separated "
        "by colons), inventory/mesh.yml or mesh.yml.",
    ),
    _option(
        "-l",
        "--limit",
        metavar="PATTERN",
        shell_complete=completion.patterns,
        help="Hosts to work on: names, globs, tag:NAME and !PATTERN, separated by commas.",
    ),
)
_OF_OUTPUT = (
    _option("--json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."),
    _option("-v", "--verbose", count=True, help="Print more details; -vv also prints the scripts sent to hosts."),
    _option("-q", "--quiet", is_flag=True, help="Print only errors and the result."),
    _option(
        "--no-color", "color", flag_value=False, default=True, help="Print without colours; NO_COLOR does the same."
    ),
)
_OF_RUNS = (
    _option(
        "--log-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="JSON Lines log to append to (mode 0600).",
    ),
    _option(
        "--forks",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        metavar="N",
        help="Number of hosts to work on in parallel.",
    ),
    _option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=30.0,
        show_default=True,
        metavar="S",
        help="Seconds to wait for a host; a change gets 30 more for the lock, and 180 more if Docker restarts.",
    ),
    _option(
        "--connect-timeout",
        type=click.FloatRange(min=1),
        metavar="S",
        help="Seconds to wait for a connection, at most --timeout. Default: ConnectTimeout of ~/.ssh/config, or 10.",
    ),
    _option("-K", "--ask-become-pass", is_flag=True, help="Prompt for the sudo password of the hosts, once."),
)


def has_terminal() -> bool:
    """Whether stdin is a terminal, so that a question can be answered."""
    return os.isatty(0)
