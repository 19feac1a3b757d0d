"""Results for people: on a terminal with colour, else plain. What hosts say is never read as markup."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dockmesh.core.plan import Outcome
from dockmesh.report.wording import JOINED, Wording

_OUTCOMES = {"confirmed": "green", "unchanged": "dim"}
_HANGING = 2
_NARROWEST = 20
PLAIN_WIDTH = 10_000  # wide enough that nothing is folded
# Control codes, what turns the direction of writing, and half characters no stream can encode.
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Console(Console):
    """Shows what hosts say and nothing it would do to a terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as rich does, without control codes in the text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_UNSHOWN.sub("", segment.text), segment.style)


def console(stream: TextIO | None = None, *, color: bool = True) -> Console:
    """The console on `stream`, else stdout; without a terminal there it writes no control codes and no folded lines."""
    stream = stream or sys.stdout
    terminal = stream.isatty()
    return _Console(
        file=stream,
        no_color=not color or "NO_COLOR" in os.environ,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if terminal else PLAIN_WIDTH,
        soft_wrap=not terminal,
        force_terminal=None if terminal else False,
    )


def print_line(out: Console, text: Text, indent: int = 0) -> None:
    """A line as `folded_lines` has it."""
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


def print_outcomes(out: Console, outcomes: Iterable[Outcome], words: Wording = JOINED) -> None:
    """What came of each host, the failed ones last with their cause."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for outcome in sorted(outcomes, key=lambda outcome: not outcome.ok):
        style = _OUTCOMES.get(outcome.status, "bold red")
        table.add_row(Text(outcome.host), Text(_ending(outcome, words), style=style), Text(outcome.error or ""))
    out.print(table)


def _ending(outcome: Outcome, words: Wording) -> str:
    return words.done if outcome.status == "confirmed" else outcome.status


def counted(count: int, what: str) -> str:
    """A count of things in words: `1 host`, `2 hosts`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
