"""`status --watch`: the same question again and again."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dockmesh.core.probes.model import ProbeReport
from dockmesh.report.console.probes import render_report


def watch(out: Console, ask: Callable[[], ProbeReport], *, every_s: float, verbose: bool) -> NoReturn:
    """Ask, show, wait, until interrupted: on a terminal in place, elsewhere one block below the other.

    Raises:
        KeyboardInterrupt: that is its only end.
    """
    if not out.is_terminal:
        while True:
            out.print(_block(out, ask(), every_s=every_s, verbose=verbose), Text())
            out.file.flush()
            time.sleep(every_s)
    with Live(console=out, auto_refresh=False) as live:
        while True:
            live.update(_block(out, ask(), every_s=every_s, verbose=verbose), refresh=True)
            time.sleep(every_s)


def _block(out: Console, report: ProbeReport, *, every_s: float, verbose: bool) -> Group:
    now = datetime.now().astimezone()
    when = Text(f"{now:%Y-%m-%d %H:%M:%S}, every {every_s:g} s; Ctrl-C ends it", style="dim")
    return Group(when, render_report(out, report, verbose=verbose))
