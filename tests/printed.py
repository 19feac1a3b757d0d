"""Text for people, taken apart into names, figures, marks and colours: tests assert on these, not on sentences."""

import re
import unicodedata
from dataclasses import dataclass
from io import StringIO
from typing import cast

from dockmesh.report.console import console

# A number by itself: no part of a name, an address, a date or a share such as 3/5.
_FIGURE = re.compile(r"(?<![\w.:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)")
_MARKS = "✓✗?≠+-~!·"
_KIND = r"host-bridge|host-container|container-container"
_NAMES = r"[\w*.-]+(?:, [\w*.-]+)*"
_SGR = re.compile(r"\x1b\[([\d;]*)m")
_COLOURS = {"31": "red", "32": "green", "33": "yellow", "36": "cyan"}


class Paper:
    """A console that keeps what is printed. It is no terminal, and has a given width or its own; or is a terminal."""

    def __init__(self, width: int | None = None, *, terminal: bool = False) -> None:
        self._stream = _Terminal() if terminal else StringIO()
        self.out = console(self._stream)
        self.out.record = True
        if width:
            self.out.width = width

    @property
    def text(self) -> str:
        """What is printed, without colours: nothing that would steer a terminal or cannot be encoded is in it."""
        terminal = self._stream.isatty()
        text = self.out.export_text(clear=False) if terminal else self._stream.getvalue()
        assert not [c for c in text if c not in {"\n", "\t"} and unicodedata.category(c) in {"Cc", "Cs"}]
        assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
        text.encode()
        return text

    @property
    def lines(self) -> list[str]:
        """The lines, without blanks at their ends."""
        return [line.rstrip() for line in self.text.splitlines()]

    @property
    def colours(self) -> list[set[str]]:
        """The colours of each line. Without a terminal, lines of plain text are not among them; the last one is."""
        return [colours(line) for line in self.out.export_text(clear=False, styles=True).splitlines()]

    @property
    def verdict(self) -> tuple[set[str], list[str]]:
        """The colours of the last line, and its figures in ascending order."""
        return self.colours[-1], sorted(figures(self.lines[-1]), key=number)


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Line:
    """A line about probes: its mark, the hosts on either side of the arrow, the kinds of probes, the figures."""

    mark: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    figures: tuple[str, ...]


def line(text: str) -> Line:
    """A line with an arrow, taken apart."""
    plain = _plain_kinds(text)
    found = re.search(rf"({_NAMES}) → ({_NAMES})", plain)
    assert found, text
    sources, targets = (tuple(n for n in side.split(", ") if not re.fullmatch(_KIND, n)) for side in found.groups())
    return Line(mark(text), sources, targets, kinds(text), tuple(figures(text)))


def mark(text: str) -> str:
    """The mark that a line begins with, behind its indent; empty where it has none."""
    first = text.lstrip()[:1]
    return first if first in _MARKS else ""


def figures(text: str) -> list[str]:
    """The numbers in their order, in digits as they are printed."""
    return cast("list[str]", _FIGURE.findall(text))


def number(figure: str) -> float:
    """The value of a figure."""
    return float(figure.replace(",", ""))


def kinds(text: str) -> tuple[str, ...]:
    """The kinds of probes that are named, in their order, whatever arrow they are written with."""
    return tuple(
        found[0] for found in re.finditer(rf"(?<![\w-])(?:{_KIND})(?![\w-])(?: \(IPv6\))?", _plain_kinds(text))
    )


def colours(styled: str) -> set[str]:
    """The colours that a styled text has."""
    codes = {code for found in _SGR.findall(styled) for code in found.split(";")}
    return {name for code, name in _COLOURS.items() if code in codes}


def _plain_kinds(text: str) -> str:
    return re.sub(r"(?<![\w-])(host|container) ?→ ?(bridge|container)(?![\w-])", r"\1-\2", text)
