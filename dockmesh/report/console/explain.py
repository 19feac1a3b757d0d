"""The explanation of a pair on the terminal."""

from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockmesh.core.explain.model import Explanation, Step

_MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("?", "yellow")}


def print_explanation(out: Console, explanation: Explanation, *, verbose: bool = False, brief: bool = False) -> None:
    """Print the steps of both directions unless `brief`, then the verdict, the cause and the remedy.

    Steps after the fault are printed only if `verbose`.
    """
    source, target = explanation.source, explanation.target
    steps = explanation.steps if verbose or explanation.reached else _until_fault(explanation)
    for direction, group in groupby(() if brief else steps, key=lambda step: step.direction):
        out.print(_table(f"{source} → {target}" if direction == "there" else f"{target} → {source}", tuple(group)))
    out.print(_verdict(explanation))
    if fault := explanation.fault:
        out.print(Text.assemble(("cause   ", "dim"), f"{fault.code}: {fault.cause}"))
        out.print(Text.assemble(("remedy  ", "dim"), (fault.remedy, "bold")))


def _verdict(explanation: Explanation) -> Text:
    source, target = explanation.source, explanation.target
    if explanation.reached is None:
        return Text(f"unknown whether {source} reaches {target}: no probe was possible", style="bold yellow")
    if not explanation.reached:
        return Text(f"{source} does not reach {target}", style="bold red")
    return Text(f"{source} reaches {target}", style="bold yellow" if explanation.fault else "bold green")


def _until_fault(explanation: Explanation) -> tuple[Step, ...]:
    """Steps after the fault prove nothing, since no packet arrived there."""
    for number, step in enumerate(explanation.steps):
        if step.fault is not None and step.fault == explanation.fault:
            return explanation.steps[: number + 1]
    return explanation.steps


def _table(title: str, steps: tuple[Step, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    for name in ("", "host", "check", "detail"):
        table.add_column(name, overflow="fold")
    for step in steps:
        mark, style = _MARKS[step.ok]
        table.add_row(Text(mark, style=style), Text(step.host), Text(step.check), Text(step.detail))
    return table
