"""The way of a ping, for people."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockmesh.core.trace.reconstruct import Hop, OneWay, TraceResult
from dockmesh.core.trace.verdict import verdict

_HOPS_SHOWN = 24


def print_trace(out: Console, traced: TraceResult, *, brief: bool = False) -> None:
    """The hops there and back, translations and losses marked; if `brief`, only what it comes to."""
    source, target = traced.query.ends
    for name, leg, way in (
        ("request", traced.request, f"{source} → {target}"),
        ("reply", traced.reply, f"{target} → {source}"),
    ):
        if leg.hops and not brief:
            out.print(_table(f"{name}: {way}", leg))
    out.print(Text(verdict(traced).text, style="bold green" if traced.reached else "bold red"))


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
    """What is left out, and the points that the packet should have come by next."""
    if len(leg.hops) > _HOPS_SHOWN:
        yield Text("…"), Text(f"{len(leg.hops) - _HOPS_SHOWN} more")
    for point in leg.missed:
        where = f"{point.interface} in container" if point.place == "container" else point.interface
        yield Text(point.host, style="red"), Text(where, style="red"), Text("✗ not seen here", style="bold red")
