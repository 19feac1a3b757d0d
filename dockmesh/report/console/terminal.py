"""The console of all printed output, with colours on a terminal and plain elsewhere. Text of hosts is never markup."""

import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

_HANGING = 2
_NARROWEST = 20
PLAIN_WIDTH = 10_000  # wide enough to fold no line
# ASCII replacements of the marks have the same width, so that columns stay aligned.
_ASCII = str.maketrans("✓✗→·…", "+x>-.")
_PLAIN_LOCALES = ("C", "POSIX")
_COERCED = "C.UTF-8"  # Python sets LC_CTYPE to this under a plain locale
# Control codes, codes that change the writing direction or break lines, and surrogates, which no stream can encode.
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Console(Console):
    """A console without control codes from hosts, limited to characters that the stream can encode."""

    _plain = False

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as rich does, without control codes in the text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self._encodable(segment.text), segment.style)

    @property
    def encoding(self) -> str:
        """ASCII under a plain locale, else the stream's encoding. Rich chooses its boxes and bars by it."""
        return "ascii" if self._plain else super().encoding

    def print_plain(self, text: str) -> None:
        """Write a line as `print` does without a terminal. It takes a hundredth of the time."""
        self.file.write(f"{self._encodable(text)}\n")
        self.file.flush()

    def keep_to_ascii(self) -> None:
        """Write only ASCII, regardless of the stream's encoding."""
        self._plain = True

    def _encodable(self, text: str) -> str:
        text = _UNSHOWN.sub("", text)
        if self.encoding.startswith("utf"):
            return text
        return text.translate(_ASCII).encode(self.encoding, "replace").decode(self.encoding)


def _plain_locale() -> bool:
    """Whether the environment asks for ASCII. Python writes UTF-8 there, which the terminal may not display."""
    if override := os.environ.get("LC_ALL"):
        return override in _PLAIN_LOCALES
    kind = os.environ.get("LC_CTYPE", "")
    return kind in _PLAIN_LOCALES or (kind in ("", _COERCED) and os.environ.get("LANG") in _PLAIN_LOCALES)


def console(stream: TextIO | None = None, *, color: bool = True) -> Console:
    """Return a console on `stream` or stdout. Without a terminal, it writes no control codes and folds no lines."""
    stream = stream or sys.stdout
    terminal = stream.isatty()
    result = _Console(
        file=stream,
        no_color=not color or "NO_COLOR" in os.environ,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if terminal else PLAIN_WIDTH,
        soft_wrap=not terminal,
        force_terminal=None if terminal else False,
    )
    if _plain_locale():
        result.keep_to_ascii()
    return result


def spinner(out: Console) -> str:
    """Return the name of a rich spinner that the stream can encode."""
    return "dots" if out.encoding.startswith("utf") else "line"


def print_line(out: Console, text: Text, indent: int = 0) -> None:
    """Print the lines of `folded_lines`."""
    if isinstance(out, _Console) and not out.is_terminal and "\t" not in text.plain:
        out.print_plain(" " * indent + text.plain)
        return
    for part in folded_lines(out, text, indent):
        out.print(part)


def folded_lines(out: Console, text: Text, indent: int = 0) -> Iterator[Text]:
    """Return the indented line, folded on a narrow terminal with a hanging indent."""
    if not out.is_terminal:
        yield Text(" " * indent).append_text(text)
        return
    for at, part in enumerate(text.wrap(out, max(_NARROWEST, out.width - indent - _HANGING))):
        part.rstrip()
        yield Text(" " * (indent + _HANGING * bool(at))).append_text(part)


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun: `1 host`, `2 hosts`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
