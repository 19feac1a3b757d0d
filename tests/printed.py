"""Parse printed text into names, figures, marks and colours, so that tests do not depend on its wording."""

import re
import unicodedata
from dataclasses import dataclass
from io import StringIO
from typing import cast

from dockmesh.report.console.terminal import console

# A number by itself, outside names, addresses, dates and shares such as 3/5.
_FIGURE = re.compile(r"(?<![\w.:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)")
_MARKS = "✓✗?≠+-~!·"
_KIND = r"host-bridge|host-container|container-container"
_NAMES = r"[\w*.-]+(?:, [\w*.-]+)*"
_SGR = re.compile(r"\x1b\[([\d;]*)m")
_COLOURS = {"31": "red", "32": "green", "33": "yellow", "36": "cyan"}


class CapturedConsole:
    """A console that keeps its output: plain text of any or a given width, or text on a terminal."""

    def __init__(self, width: int | None = None, *, terminal: bool = False) -> None:
        self._stream = _Terminal() if terminal else StringIO()
        self.out = console(self._stream)
        self.out.record = True
        if width:
            self.out.width = width

    @property
    def text(self) -> str:
        """The output without colours. Raises AssertionError if it has control codes or cannot be encoded."""
        terminal = self._stream.isatty()
        text = self.out.export_text(clear=False) if terminal else self._stream.getvalue()
        assert not [c for c in text if c not in {"\n", "\t"} and unicodedata.category(c) in {"Cc", "Cs"}]
        assert not set(text) & set(
            "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        )
        text.encode()
        return text

    @property
    def lines(self) -> list[str]:
        """The lines without trailing blanks."""
        return [line.rstrip() for line in self.text.splitlines()]

    @property
    def colours(self) -> list[set[str]]:
        """The colours of each line. Plain consoles record only lines that rich prints; the last line is one."""
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
    """A line about probes: its mark, the hosts on each side of the arrow, the kinds of probes, the figures."""

    mark: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    figures: tuple[str, ...]


def line(text: str) -> Line:
    """Parse a line with an arrow. Raises AssertionError if it has none."""
    plain = _plain_kinds(text)
    found = re.search(rf"({_NAMES}) → ({_NAMES})", plain)
    assert found, text
    sources, targets = (tuple(n for n in side.split(", ") if not re.fullmatch(_KIND, n)) for side in found.groups())
    return Line(mark(text), sources, targets, kinds(text), tuple(figures(text)))


def mark(text: str) -> str:
    """The mark at the start of a line, after its indent. Empty if it has none."""
    first = text.lstrip()[:1]
    return first if first in _MARKS else ""


def figures(text: str) -> list[str]:
    """The numbers of a text, as printed, in order."""
    return cast("list[str]", _FIGURE.findall(text))


def number(figure: str) -> float:
    """The value of a figure."""
    return float(figure.replace(",", ""))


def kinds(text: str) -> tuple[str, ...]:
    """The kinds of probes that a text names, in order, written with a hyphen or an arrow."""
    return tuple(
        found[0] for found in re.finditer(rf"(?<![\w-])(?:{_KIND})(?![\w-])(?: \(IPv6\))?", _plain_kinds(text))
    )


def colours(styled: str) -> set[str]:
    """The colours in a text with SGR codes."""
    codes = {code for found in _SGR.findall(styled) for code in found.split(";")}
    return {name for code, name in _COLOURS.items() if code in codes}


def _plain_kinds(text: str) -> str:
    return re.sub(r"(?<![\w-])(host|container) ?→ ?(bridge|container)(?![\w-])", r"\1-\2", text)
