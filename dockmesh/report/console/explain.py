"""Why a host reaches another or does not, for people."""

from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockmesh.core.explain.model import Explanation, Step

_MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("?", "yellow")}


def print_explanation(out: Console, explained: Explanation, *, verbose: bool = False, brief: bool = False) -> None:
    """The steps there and back unless `brief`, then cause and remedy. Steps behind the one to blame if `verbose`."""
    source, target = explained.source, explained.target
    steps = explained.steps if verbose or explained.reached else _until_broken(explained)
    for way, group in groupby(() if brief else steps, key=lambda step: step.direction):
        out.print(_table(f"{source} → {target}" if way == "there" else f"{target} → {source}", tuple(group)))
    reached, fault = explained.reached, explained.fault
    verdict = f"{source} reaches {target}" if reached else f"{source} does not reach {target}"
    out.print(Text(verdict, style="bold green" if reached and not fault else "bold yellow" if reached else "bold red"))
    if fault:
        out.print(Text.assemble(("cause   ", "dim"), f"{fault.code}: {fault.cause}"))
        out.print(Text.assemble(("remedy  ", "dim"), (fault.remedy, "bold")))


def _until_broken(explained: Explanation) -> tuple[Step, ...]:
    """What follows a break is not to be judged: nothing came there."""
    for number, step in enumerate(explained.steps):
        if step.fault is not None and step.fault == explained.fault:
            return explained.steps[: number + 1]
    return explained.steps


def _table(title: str, steps: tuple[Step, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    for name in ("", "host", "check", "detail"):
        table.add_column(name, overflow="fold")
    for step in steps:
        mark, style = _MARKS[step.ok]
        table.add_row(Text(mark, style=style), Text(step.host), Text(step.check), Text(step.detail))
    return table
