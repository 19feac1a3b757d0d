"""What every verb takes, and the inventory that comes of it."""

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
    """The common options of a call."""

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

    def fleet(self) -> Fleet:
        """The inventory.

        Raises:
            UsageError: there is none, it cannot be read, or it is invalid.
        """
        return fleet_of(*self.documents())

    def documents(self) -> tuple[Document, ...]:
        """The inventory's files, read and not checked yet; errors as those of `fleet`."""
        return read_all({file: text_of(file) for file in self.files()})

    def inventory_text(self) -> str:
        """All of the inventory's text.

        Raises:
            UsageError: there is none, or it cannot be read.
        """
        return "\0".join(map(text_of, self.files()))

    def inventory_name(self) -> str:
        """The inventory's files, for people."""
        return ", ".join(map(str, self.files()))

    def files(self) -> tuple[Path, ...]:
        """Where the inventory is; see `inventories.found`."""
        return inventory_files(self.inventory)

    def hosts(self, fleet: Fleet) -> tuple[Host, ...]:
        """The hosts that --limit leaves.

        Raises:
            UsageError: a term of it matches none.
        """
        return select(fleet, self.limit) if self.limit is not None else fleet.hosts


def common(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the common options; it takes them as its first argument."""
    return _with(verb, (*_OF_INVENTORY, *_OF_OUTPUT, *_OF_RUNS))


def offline(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `common`, for a verb that contacts nobody: it takes what is about hosts too, and has no use for it."""
    return _with(verb, (*_OF_INVENTORY, *_OF_OUTPUT, *map(_hidden, _OF_RUNS)))


def without_inventory(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `common`, for a verb that contacts hosts of no inventory."""
    inventory, limit = _OF_INVENTORY
    return _with(verb, (_hidden(inventory), limit, *_OF_OUTPUT, *_OF_RUNS))


def from_files(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `offline`, for a verb that works from results in files and needs no inventory either."""
    return _with(verb, (*map(_hidden, (*_OF_INVENTORY, *_OF_RUNS)), *_OF_OUTPUT))


def _with(verb: Callable[..., Any], options: tuple[_Option, ...]) -> Callable[..., Any]:
    @wraps(verb)
    def called(
        *,
        inventory: tuple[Path, ...],
        limit: str | None,
        forks: int,
        timeout: float,
        json: bool,
        verbose: int,
        color: bool,
        ask_become_pass: bool,
        quiet: bool,
        log_file: Path | None,
        **own: Any,
    ) -> Any:
        given = Options(
            inventory, limit, forks, timeout, json, verbose, color, ask_become_pass, quiet=quiet, log_file=log_file
        )
        try:
            assets.check()
            if quiet and verbose:
                raise UsageError("-q says less and -v says more: one of the two", code=UsageCode.CONFLICTING_OPTIONS)
            return verb(given, **own)
        except DockmeshError as error:
            if json:
                click.echo(dumps(problems_document(error), indent=2))
            raise

    decorated: Callable[..., Any] = called
    for words, settings in reversed(options):
        decorated = click.option(*words, **settings)(decorated)
    return decorated


def _hidden(option: _Option) -> _Option:
    words, settings = option
    return words, {**settings, "hidden": True}


def _option(*words: str, **settings: Any) -> _Option:
    return words, settings


_OF_INVENTORY = (
    _option(
        "-i",
        "--inventory",
        type=click.Path(path_type=Path),
        multiple=True,
        envvar="DOCKMESH_INVENTORY",
        metavar="FILE",
        help="The inventory: a file or a folder of them, also several times; else $DOCKMESH_INVENTORY "
        "(a colon between two), inventory/mesh.yml, mesh.yml.",
    ),
    _option(
        "-l",
        "--limit",
        metavar="PATTERN",
        shell_complete=completion.patterns,
        help="Only these hosts: names and globs, tag:NAME, !PATTERN, commas between.",
    ),
)
_OF_OUTPUT = (
    _option("--json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."),
    _option("-v", "--verbose", count=True, help="Say more; twice: the scripts that go to hosts as well."),
    _option("-q", "--quiet", is_flag=True, help="Say only what is wrong, and the result."),
    _option("--no-color", "color", flag_value=False, default=True, help="No colours (nor with NO_COLOR set)."),
)
_OF_RUNS = (
    _option(
        "--log-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Append what is done there: a JSON object per line, for your eyes alone.",
    ),
    _option("--forks", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="Hosts at once."),
    _option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=30.0,
        show_default=True,
        metavar="S",
        help="Seconds until a host is given up that does not answer; 180 more for its Docker to restart.",
    ),
    _option("-K", "--ask-become-pass", is_flag=True, help="Ask once for the password that sudo wants on the hosts."),
)


def has_terminal() -> bool:
    """Whether someone is there to answer a question."""
    return os.isatty(0)
