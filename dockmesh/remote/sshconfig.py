"""The hosts that have entries of their own in OpenSSH's client configuration, included files as well, and where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from typing import Final

USER: Final = "~/.ssh/config"
# OpenSSH's own limit.
_DEEPEST: Final = 16
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.+?)\s*")
_WORD = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a configuration, and where it stands."""

    text: str
    file: str
    number: int

    @property
    def keyword(self) -> str:
        """Its keyword in lower case; empty where it has none."""
        parts = _LINE.fullmatch(self.text)
        return parts[1].lower() if parts and not self.text.lstrip().startswith("#") else ""

    @property
    def words(self) -> tuple[str, ...]:
        """What stands behind the keyword."""
        parts = _LINE.fullmatch(self.text)
        return tuple(one or two for one, two in _WORD.findall(parts[2])) if parts else ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A host that has an entry of its own, and where."""

    name: str
    file: str
    line: int


def lines(file: Path, depth: int = 0) -> Iterator[Line]:
    """The lines of a configuration; those of included files stand where they are included.

    Behind an included file holds on what held before it, as for OpenSSH: the line that says so is repeated.

    Raises:
        OSError, ValueError: a file cannot be read, or they include each other without end.
    """
    around = Line("Host *", str(file), 0)
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = Line(text, str(file), number)
        if line.keyword == "include":
            if depth == _DEEPEST:
                raise ValueError(f"{file}:{number}: files include each other more than {_DEEPEST} deep")
            for included in _included(line, file):
                yield from lines(included, depth + 1)
            yield around
            continue
        if line.keyword in {"host", "match"}:
            around = line
        yield line


def entries(file: Path, pattern: str) -> tuple[list[Entry], list[str]]:
    """The hosts with entries of their own in a configuration whose names match the glob, and the names that do not."""
    found: dict[str, Entry] = {}
    for line in lines(file):
        for name in line.words if line.keyword == "host" else ():
            if not set("*?!") & set(name):
                found.setdefault(name, Entry(name, line.file, line.number))
    matching = [entry for name, entry in found.items() if fnmatchcase(name, pattern)]
    return matching, [name for name in found if not fnmatchcase(name, pattern)]


def _included(line: Line, file: Path) -> Iterator[Path]:
    """As OpenSSH: globs, in the order of their names; what is relative is so to the folder of the first file."""
    folder = Path("/etc/ssh") if file.is_relative_to("/etc/ssh") else Path(USER).expanduser().parent
    for word in line.words:
        try:
            pattern = folder / Path(word).expanduser()
        except RuntimeError as error:
            raise ValueError(f"{line.file}:{line.number}: Include {word}: {error}") from error
        for name in sorted(glob(str(pattern))):  # noqa: PTH207 absolute patterns
            if Path(name).is_file():
                yield Path(name)
