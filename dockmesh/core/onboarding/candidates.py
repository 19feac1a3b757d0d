"""Candidates: hosts for a new inventory, from the command line or the files of other tools."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dockmesh.core.inventory import scalars
from dockmesh.core.text import one_line, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError, Problem

Value = str | int
_PORT_RANGE: Final = (1, 65535)
_ARGUMENT = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>[^@:\[\]]+)(?::(?P<port>[^:]*))?")
_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "address": scalars.address,
    "user": scalars.parse_word,
    "port": lambda text: scalars.parse_int(text, *_PORT_RANGE),
    "identity_file": scalars.parse_word,
    "jump": scalars.jump,
}


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Location in a source. Line and column count from 1, and are 0 for the command line."""

    file: str
    line: int = 0
    column: int = 0

    def problem(self, code: ProblemCode, message: str) -> Problem:
        """Create a problem at this location."""
        return Problem(self.file, self.line, self.column, code, one_line(message))

    def __str__(self) -> str:
        """`FILE:LINE`, or the file alone, for a message."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host for a new inventory. `keys` has the keys of `connection` that the source sets.

    `excluded` is the reason why the host cannot join a mesh, or None.
    """

    name: str
    address: str
    location: SourceLocation
    keys: Mapping[str, Value] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    excluded: str | None = None


def host_name(text: str) -> str:
    """The inventory's name of a host that its source calls `text`.

    Raises:
        InvalidValueError: no valid name can be made from the text.
    """
    return scalars.name(scalars.as_name(text) or text)


def parse_value(key: str, text: str) -> Value:
    """Parse the value of a key of `connection`, or of `address`.

    Raises:
        InvalidValueError: the text is not a valid value.
    """
    parsed = _PARSERS[key](text)
    return parsed if isinstance(parsed, int) else text


def parse_argument(argument: str) -> Candidate:
    """Parse a host on the command line: `[USER@]HOST[:PORT]`.

    Raises:
        InvalidValueError: the argument has another form.
    """
    parts = _ARGUMENT.fullmatch(argument)
    if not parts:
        scalars.address(argument)
        raise InvalidValueError(ProblemCode.BAD_HOST, f"{quoted(argument)} is not [USER@]HOST[:PORT]")
    keys = {key: parse_value(key, parts[key]) for key in ("user", "port") if parts[key] is not None}
    return Candidate(
        host_name(parts["host"]), str(parse_value("address", parts["host"])), SourceLocation(quoted(argument)), keys
    )


def duplicates(candidates: Iterable[Candidate]) -> Iterator[Problem]:
    """Problems for names that more than one host has, with the location of the first one."""
    first: dict[str, Candidate] = {}
    for each in candidates:
        before = first.setdefault(each.name, each)
        if before is not each:
            yield each.location.problem(ProblemCode.DUPLICATE, f"host {each.name} is already in {before.location}")
