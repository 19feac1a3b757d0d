"""Hosts that an inventory shall begin with, as other tools' files or the user name them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dockmesh.core.inventory import scalars
from dockmesh.core.text import one_line, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError, Problem

Value = str | int
_PORTS: Final = (1, 65535)
_ARGUMENT = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>[^@:\[\]]+)(?::(?P<port>[^:]*))?")
_READ: Final[Mapping[str, Callable[[str], object]]] = {
    "address": scalars.address,
    "user": scalars.parse_word,
    "port": lambda text: scalars.parse_int(text, *_PORTS),
    "identity_file": scalars.parse_word,
    "jump": scalars.jump,
}


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where something is said; line and column count from 1, and are 0 of what was said on the command line."""

    file: str
    line: int = 0
    column: int = 0

    def problem(self, code: ProblemCode, message: str) -> Problem:
        """What is wrong there."""
        return Problem(self.file, self.line, self.column, code, one_line(message))

    def __str__(self) -> str:
        """As in a message."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host to begin with. `keys` are those of the inventory's `connection`, as far as something is said of them.

    `apart`: why it can be no host of a mesh, whatever it is.
    """

    name: str
    address: str
    location: SourceLocation
    keys: Mapping[str, Value] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    excluded: str | None = None


def host_name(text: str) -> str:
    """What a host called `text` elsewhere is called here.

    Raises:
        InvalidValueError: nothing in it makes a name.
    """
    return scalars.name(scalars.as_name(text) or text)


def parse_value(key: str, text: str) -> Value:
    """The value of a key: of `connection`, or `address`.

    Raises:
        InvalidValueError: it is none.
    """
    found = _READ[key](text)
    return found if isinstance(found, int) else text


def parse_argument(argument: str) -> Candidate:
    """A host as the command line names it: `[USER@]HOST[:PORT]`.

    Raises:
        InvalidValueError: it is none.
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
    """Names that more than one host would have, each with the place of the first."""
    first: dict[str, Candidate] = {}
    for each in candidates:
        before = first.setdefault(each.name, each)
        if before is not each:
            yield each.location.problem(ProblemCode.DUPLICATE, f"host {each.name} stands in {before.location} already")
