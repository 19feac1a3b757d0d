"""What every verb takes, and the inventory that comes of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from json import dumps
from pathlib import Path
from typing import Any

import click

from dockmesh.core.inventory import parse
from dockmesh.core.model import Fleet, Host
from dockmesh.core.selection import select
from dockmesh.errors import DockmeshError, UsageError
from dockmesh.report.document import problems_document

_Option = tuple[tuple[str, ...], dict[str, Any]]

_DEFAULTS = (Path("inventory/mesh.yml"), Path("mesh.yml"))


@dataclass(frozen=True, slots=True)
class Options:
    """The common options of a call."""

    inventory: Path | None
    limit: str | None
    forks: int
    timeout_s: float
    json: bool
    verbose: int
    color: bool

    def fleet(self) -> Fleet:
        """The inventory.

        Raises:
            UsageError: there is none, it cannot be read, or it is invalid.
        """
        return parse(self.inventory_text(), file=str(self.file()))

    def inventory_text(self) -> str:
        """The inventory's text: line ends as they are, bytes that are no UTF-8 as surrogates.

        Raises:
            UsageError: there is none, or it cannot be read.
        """
        file = self.file()
        try:
            return file.read_bytes().decode(errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}: name the inventory with -i FILE") from error

    def hosts(self, fleet: Fleet) -> tuple[Host, ...]:
        """The hosts that --limit leaves.

        Raises:
            UsageError: a term of it matches none.
        """
        return select(fleet, self.limit) if self.limit is not None else fleet.hosts

    def file(self) -> Path:
        """Where the inventory is.

        Raises:
            UsageError: none is named, and there is none where one would be looked for.
        """
        if self.inventory is not None:
            return self.inventory
        for file in _DEFAULTS:
            if file.exists():
                return file
        names = ", ".join(map(str, _DEFAULTS))
        raise UsageError(f"no inventory: there is no {names} here; name one with -i FILE or DOCKMESH_INVENTORY")


def common(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the common options; it takes them as its first argument."""
    return _with(verb, (*_OF_INVENTORY, *_OF_OUTPUT, *_OF_RUNS))


def offline(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `common`, for a verb that contacts nobody: it takes what is about hosts too, and has no use for it."""
    return _with(verb, (*_OF_INVENTORY, *_OF_OUTPUT, *map(_hidden, _OF_RUNS)))


def from_files(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As `offline`, for a verb that works from results in files and needs no inventory either."""
    return _with(verb, (*map(_hidden, (*_OF_INVENTORY, *_OF_RUNS)), *_OF_OUTPUT))


def _with(verb: Callable[..., Any], options: tuple[_Option, ...]) -> Callable[..., Any]:
    @wraps(verb)
    def called(
        *,
        inventory: Path | None,
        limit: str | None,
        forks: int,
        timeout: float,
        json: bool,
        verbose: int,
        color: bool,
        **own: Any,
    ) -> Any:
        try:
            return verb(Options(inventory, limit, forks, timeout, json, verbose, color), **own)
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
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="DOCKMESH_INVENTORY",
        metavar="FILE",
        help="The inventory; else $DOCKMESH_INVENTORY, inventory/mesh.yml, mesh.yml.",
    ),
    _option(
        "-l",
        "--limit",
        metavar="PATTERN",
        help="Only these hosts: names and globs, tag:NAME, !PATTERN, commas between.",
    ),
)
_OF_OUTPUT = (
    _option("--json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."),
    _option("-v", "--verbose", count=True, help="Say more; twice: what SSH says as well."),
    _option("--no-color", "color", flag_value=False, default=True, help="No colours (nor with NO_COLOR set)."),
)
_OF_RUNS = (
    _option("--forks", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="Hosts at once."),
    _option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=30.0,
        show_default=True,
        metavar="S",
        help="Seconds until a host is given up that does not answer; 180 more for its Docker to restart.",
    ),
)


def terminal() -> bool:
    """Whether someone is there to answer a question."""
    return os.isatty(0)
