"""Drawn prefixes for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from dockmesh.core.ipam import Allocation


def print_allocations(out: Console, drawn: Sequence[Allocation], *, file: str, written: bool) -> None:
    """A line per host, then what has become of them or how they get into `file`."""
    if not drawn:
        out.print(Text("Nothing to do: every host with Docker has a prefix.", style="green"))
        return
    width = max(len(each.host) for each in drawn)
    lines = (Text.assemble(f"{each.host:<{width}}  ", (str(each.prefix), "green")) for each in drawn)
    out.print(Text("\n").join(lines))
    count = "1 prefix" if len(drawn) == 1 else f"{len(drawn)} prefixes"
    told = f"{count} written to {file}." if written else f"{count} proposed; --write puts them into {file}."
    out.print(Text(told, style="bold"))
