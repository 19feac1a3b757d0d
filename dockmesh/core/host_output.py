"""The form in which a host's scripts answer: sections, cut apart strictly.

A line `@NAME STATUS` opens a section; its text follows, every line behind one blank, so that no text can pass for a
section. What stands before the first section is noise of the login (a banner, a warning of sudo's).
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dockmesh.core.addresses import SUFFIX, Family
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

_HEAD = re.compile(r"([a-z0-9_.]+) (\d{1,3})")
_ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-9;?]*[ -/]*[@-~]")
_QUOTED_CHARACTERS = 200
_LINE = "\n"


@dataclass(frozen=True, slots=True)
class Section:
    """What one command of the script wrote (stdout and stderr together) and its exit status."""

    status: int
    text: str

    def lines(self) -> list[str]:
        """The text's lines that are not empty."""
        return [line for line in self.text.split("\n") if line]


ABSENT = Section(status=127, text="")
# What closes an answer of which a rest is to follow.
HELD_MARKER = "@held 0"


class Sections(dict[str, Section]):
    """An answer's sections by name."""

    def __missing__(self, name: str) -> Section:
        """Raise HostError: the script writes this section, the host did not."""
        raise HostError(
            f"the host's answer lacks {name!r}, which dockmesh asked for", code=HostErrorCode.ANSWER_UNREADABLE
        )

    def lines_of(self, name: str, family: Family) -> list[str]:
        """The lines of a section of which each family has its own."""
        return self[f"{name}{SUFFIX[family]}"].lines()


def sanitize(text: str) -> str:
    """Host output as it may stand in a message: one line, nothing that does not print, of bounded length."""
    line = printable(text)
    return line if len(line) <= _QUOTED_CHARACTERS else line[:_QUOTED_CHARACTERS] + "…"


def printable(text: str) -> str:
    """Host output as one line without anything that does not print, at whatever length."""
    return "".join(c if c.isprintable() else " " * c.isspace() for c in _ESCAPE.sub("", text)).strip()


def split(output: str) -> Sections:
    """Cut a script's output into its sections, which must close with one called `end`.

    Raises:
        HostError: the output is not of that form; the message quotes its beginning.
    """
    # An answer of a large fleet has tens of thousands of lines: only those are looked at that may be heads.
    noise, *parts = f"\n{output.removesuffix(_LINE)}".split("\n@")
    sections = Sections()
    for part in parts:
        first, line, body = part.partition(_LINE)
        if head := _HEAD.fullmatch(first):
            sections[head[1]] = Section(int(head[2]), _text(line + body))
        elif sections:
            raise _unknown(f"@{first}")
        else:
            noise += f" @{part}"
    if "end" not in sections:
        said = sanitize(noise.replace(_LINE, " ")) or "nothing"
        raise HostError(
            f"the script did not run to its end on the host, which said: {said}", code=HostErrorCode.ANSWER_INCOMPLETE
        )
    return sections


def _text(body: str) -> str:
    """The text of a section: all of `body` behind its head, which is lines that each begin with a blank."""
    if body.count(_LINE) != body.count("\n "):
        raise _unknown(next(line for line in body.split(_LINE)[1:] if not line.startswith(" ")))
    return body.replace("\n ", _LINE)[1:]


def _unknown(line: str) -> HostError:
    return HostError(
        f"answered in a form dockmesh does not know: {sanitize(line)!r}", code=HostErrorCode.ANSWER_UNREADABLE
    )


@contextmanager
def parsing(what: str, code: HostErrorCode = HostErrorCode.ANSWER_UNREADABLE) -> Iterator[None]:
    """Turn what goes wrong inside, while a host's answer is taken apart, into a HostError naming `what`."""
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, Base64Error) as error:
        raise HostError(
            f"{what}: the host answered what dockmesh cannot read ({sanitize(str(error))})", code=code
        ) from error


def file_section(sections: Mapping[str, Section], name: str) -> tuple[str, bytes] | None:
    """Octal mode and content of a file section; None where the host has no such file."""
    section = sections[name]
    if section.status != 0:
        raise HostError(
            f"{sanitize(section.text)}, so dockmesh cannot write it (of a masked unit: systemctl unmask {name})",
            code=HostErrorCode.FILE_UNREADABLE,
        )
    lines = section.lines()
    if lines == ["absent"]:
        return None
    with parsing(name):
        mode, *content = lines
        return str(int(mode, 8) and mode), b64decode("".join(content), validate=True)
