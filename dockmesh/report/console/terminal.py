"""Results for people: on a terminal with colour, else plain. What hosts say is never read as markup."""

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
PLAIN_WIDTH = 10_000  # wide enough that nothing is folded
# Control codes, what turns the direction of writing, and half characters no stream can encode.
# What a terminal that knows ASCII alone gets for our own marks: of the same width, so that columns stay where they are.
_ASCII = str.maketrans("✓✗→·…", "+x>-.")
_PLAIN_LOCALES = ("C", "POSIX")
_COERCED = "C.UTF-8"  # what Python makes of LC_CTYPE under a plain locale
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Console(Console):
    """Shows what hosts say and nothing it would do to a terminal, in characters that the stream can carry."""

    _plain = False

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as rich does, without control codes in the text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self._carried(segment.text), segment.style)

    @property
    def encoding(self) -> str:
        """The stream's, but ASCII where the locale is a plain one; by this, rich draws its boxes and bars."""
        return "ascii" if self._plain else super().encoding

    def print_plain(self, text: str) -> None:
        """A line as `print` would write it where there is no terminal, in a hundredth of the time."""
        self.file.write(f"{self._carried(text)}\n")
        self.file.flush()

    def keep_to_ascii(self) -> None:
        """Write nothing else, whatever the stream could carry."""
        self._plain = True

    def _carried(self, text: str) -> str:
        text = _UNSHOWN.sub("", text)
        if self.encoding.startswith("utf"):
            return text
        return text.translate(_ASCII).encode(self.encoding, "replace").decode(self.encoding)


def _plain_locale() -> bool:
    """Whether the environment asks for ASCII. Python itself writes UTF-8 there, whatever the terminal makes of it."""
    if every := os.environ.get("LC_ALL"):
        return every in _PLAIN_LOCALES
    kind = os.environ.get("LC_CTYPE", "")
    return kind in _PLAIN_LOCALES or (kind in ("", _COERCED) and os.environ.get("LANG") in _PLAIN_LOCALES)


def console(stream: TextIO | None = None, *, color: bool = True) -> Console:
    """The console on `stream`, else stdout; without a terminal there it writes no control codes and no folded lines."""
    stream = stream or sys.stdout
    terminal = stream.isatty()
    made = _Console(
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
        made.keep_to_ascii()
    return made


def spinner(out: Console) -> str:
    """The name, by rich, of a spinner that the stream can carry."""
    return "dots" if out.encoding.startswith("utf") else "line"


def print_line(out: Console, text: Text, indent: int = 0) -> None:
    """A line as `folded_lines` has it."""
    if isinstance(out, _Console) and not out.is_terminal and "\t" not in text.plain:
        out.print_plain(" " * indent + text.plain)
        return
    for part in folded_lines(out, text, indent):
        out.print(part)


def folded_lines(out: Console, text: Text, indent: int = 0) -> Iterator[Text]:
    """A line at that indent; on a terminal too narrow for it, folded so that what follows stands further in."""
    if not out.is_terminal:
        yield Text(" " * indent).append_text(text)
        return
    for at, part in enumerate(text.wrap(out, max(_NARROWEST, out.width - indent - _HANGING))):
        part.rstrip()
        yield Text(" " * (indent + _HANGING * bool(at))).append_text(part)


def pluralize(count: int, what: str) -> str:
    """A count of things in words: `1 host`, `2 hosts`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
