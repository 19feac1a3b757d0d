"""The path of a trace ping on the terminal."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockmesh.core.trace.reconstruct import Hop, OneWay, TraceResult
from dockmesh.core.trace.verdict import verdict

_HOPS_SHOWN = 24


def print_trace(out: Console, trace: TraceResult, *, brief: bool = False) -> None:
    """Print the hops of request and reply with translations and losses, then the verdict.

    With `brief`, print only the verdict.
    """
    source, target = trace.query.ends
    for name, leg, ends in (
        ("request", trace.request, f"{source} → {target}"),
        ("reply", trace.reply, f"{target} → {source}"),
    ):
        if leg.hops and not brief:
            out.print(_table(f"{name}: {ends}", leg))
    out.print(Text(verdict(trace).text, style="bold green" if trace.reached else "bold red"))


def _table(title: str, leg: OneWay) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for name in ("host", "interface", "source", "destination", "ttl", ""):
        table.add_column(name, justify="right" if name == "ttl" else "left", overflow="fold")
    for cells in (*map(_cells, leg.hops[:_HOPS_SHOWN]), *_rest(leg)):
        table.add_row(*cells)
    return table


def _cells(hop: Hop) -> tuple[Text, ...]:
    where = f"{hop.point.interface} in container" if hop.point.place == "container" else hop.point.interface
    return (
        Text(hop.point.host),
        Text(where),
        Text(str(hop.source), style="bold yellow" if hop.was_source else ""),
        Text(str(hop.destination), style="bold yellow" if hop.was_destination else ""),
        Text(str(hop.ttl)),
        Text("translated" if hop.translated else "", style="yellow"),
    )


def _rest(leg: OneWay) -> Iterator[tuple[Text, ...]]:
    """Yield the number of hops left out, then the expected points where the packet was not seen."""
    if len(leg.hops) > _HOPS_SHOWN:
        yield Text("…"), Text(f"{len(leg.hops) - _HOPS_SHOWN} more")
    for point in leg.missed:
        where = f"{point.interface} in container" if point.place == "container" else point.interface
        yield Text(point.host, style="red"), Text(where, style="red"), Text("✗ not seen here", style="bold red")
