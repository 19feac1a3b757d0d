"""Strict parser of the output of a host's scripts, which consists of sections.

A line `@NAME STATUS` starts a section. Each line of its text begins with a space, so that text cannot look like a
section. Lines before the first section are noise of the login, such as a banner or a warning of sudo.

An attacker may control the host. These limits hold for everything that a host prints, and all parsers of its text take
time and memory in proportion to its length. A regular expression holds the lock of the interpreter, so a slow one would
stop the work on all hosts.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

from dockmesh.core.addresses import SUFFIX, Family
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

_HEADER = re.compile(r"([a-z0-9_.]+) (\d{1,3})")
_ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-9;?]*[ -/]*[@-~]")
# The length of an answer in bytes, the number of its lines, and the length of each.
MAX_BYTES = 16 << 20
MAX_LINES = 1 << 18
MAX_LINE_CHARACTERS = 1 << 18
# Docker and dockmesh nest JSON about eight levels deep. The interpreter fails at about a thousand.
MAX_JSON_LEVELS = 64
# Host output in a message, after and before escape sequences are removed.
_MAX_CHARACTERS = 200
_MAX_RAW_CHARACTERS = 2000
_LINE = "\n"


@dataclass(frozen=True, slots=True)
class Section:
    """Exit status and output (stdout and stderr together) of one command of the script."""

    status: int
    text: str

    def lines(self) -> list[str]:
        """The lines of the text that are not empty."""
        return [line for line in self.text.split("\n") if line]


ABSENT = Section(status=127, text="")
# Ends the first part of an output whose rest comes later.
HELD_MARKER = "@held 0"


class Sections(dict[str, Section]):
    """Sections of a host's output, by name."""

    def __missing__(self, name: str) -> Section:
        """Raise HostError: the script writes this section, but the output of the host lacks it."""
        raise HostError(f"the host's output has no section {name!r}", code=HostErrorCode.ANSWER_UNREADABLE)

    def lines_of(self, name: str, family: Family) -> list[str]:
        """The lines of a section that exists once per family."""
        return self[f"{name}{SUFFIX[family]}"].lines()


def sanitize(text: str) -> str:
    """Host output for a message: one line of printable characters, of limited length."""
    line = printable(text[:_MAX_RAW_CHARACTERS])
    whole = len(line) <= _MAX_CHARACTERS and len(text) <= _MAX_RAW_CHARACTERS
    return line if whole else line[:_MAX_CHARACTERS] + "…"


def printable(text: str) -> str:
    """Host output as one line of printable characters, of any length."""
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " * c.isspace() for c in _ESCAPE.sub("", text)).strip()


def split(output: str) -> Sections:
    """Split the output of a script into its sections; the last one must be `end`.

    Raises:
        HostError: the output has another form or exceeds a limit; the message quotes its beginning.
    """
    _check_size(output)
    # In a large fleet the output has tens of thousands of lines: splitting at "\n@" examines possible headers only.
    noise, *parts = f"\n{output.removesuffix(_LINE)}".split("\n@")
    sections = Sections()
    for part in parts:
        first, line, body = part.partition(_LINE)
        if header := _HEADER.fullmatch(first):
            sections[header[1]] = Section(int(header[2]), _text(line + body))
        elif sections:
            raise _unreadable(f"@{first}")
        else:
            noise += f" @{part}"
    if "end" not in sections:
        output_start = sanitize(noise.replace(_LINE, " ")) or "nothing"
        raise HostError(
            f"the script ended early on the host, which printed: {output_start}", code=HostErrorCode.ANSWER_INCOMPLETE
        )
    return sections


def _check_size(output: str) -> None:
    if output.count(_LINE) >= MAX_LINES:
        problem = f"more than {MAX_LINES:,} lines"
    elif _has_long_line(output):
        problem = f"a line of more than {MAX_LINE_CHARACTERS:,} characters"
    else:
        return
    raise HostError(f"the host's output has {problem}", code=HostErrorCode.ANSWER_TOO_LARGE)


def _has_long_line(output: str) -> bool:
    """Whether a line is too long, without splitting the text."""
    start = 0
    while len(output) - start > MAX_LINE_CHARACTERS:
        end = output.rfind(_LINE, start, start + MAX_LINE_CHARACTERS + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def parse_json(text: str) -> Any:
    """Parse JSON with finite numbers and at most MAX_JSON_LEVELS levels.

    Raises:
        ValueError: the text is something else.
    """
    try:
        document = _DECODER.decode(text)
    except RecursionError:
        level = MAX_JSON_LEVELS + 1
    else:
        level, values = 0, [document] if isinstance(document, dict | list) else []
        while values and level <= MAX_JSON_LEVELS:
            level += 1
            parents = [each.values() if isinstance(each, dict) else each for each in values]
            values = [child for each in parents for child in each if isinstance(child, dict | list)]
    if level > MAX_JSON_LEVELS:
        raise ValueError(f"more than {MAX_JSON_LEVELS} levels of nesting")
    return document


def _finite(text: str) -> float:
    """Parse a JSON number, without the NaN and infinity that Python would accept."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not a number")
    return number


# json.loads with these arguments would make a decoder at each call.
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _text(body: str) -> str:
    """The text of a section, without the space that begins each line of `body`."""
    text = body.replace("\n ", _LINE)
    if len(body) - len(text) != text.count(_LINE):
        raise _unreadable(next(line for line in body.split(_LINE)[1:] if not line.startswith(" ")))
    return text[1:]


def _unreadable(line: str) -> HostError:
    return HostError(
        f"the host's output has an unexpected line: {sanitize(line)!r}", code=HostErrorCode.ANSWER_UNREADABLE
    )


@contextmanager
def parsing(what: str, code: HostErrorCode = HostErrorCode.ANSWER_UNREADABLE) -> Iterator[None]:
    """Turn errors during the parsing of a host's output into a HostError; `what` names the part of the output."""
    try:
        yield
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise HostError(
            f"{what}: dockmesh cannot parse the host's output ({sanitize(str(error))})", code=code
        ) from error


def file_section(sections: Mapping[str, Section], name: str) -> tuple[str, bytes] | None:
    """Octal mode and content of a file section; None if the host has no such file."""
    section = sections[name]
    if section.status != 0:
        raise HostError(
            f"{sanitize(section.text)}, so dockmesh cannot write the file. "
            f"Fix, if it is a masked unit: systemctl unmask {name}",
            code=HostErrorCode.FILE_UNREADABLE,
        )
    if section.text == "absent":
        return None
    with parsing(name):
        mode, _, content = section.text.partition(_LINE)
        return str(int(mode, 8) and mode), b64decode(content.replace(_LINE, ""), validate=True)
