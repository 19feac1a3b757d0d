"""Drawn prefixes for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from dockmesh.core.allocation.prefixes import Allocation
from dockmesh.core.onboarding.propose import ProposedHost
from dockmesh.report.console.terminal import print_line


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


def print_proposed(out: Console, proposed: Sequence[ProposedHost]) -> None:
    """A line per host: its prefix, and what becomes of its docker0; or why it is left out."""
    width = max(len(each.name) for each in proposed)
    for each in proposed:
        told = Text(f"{each.name:<{width}}  ").append_text(_becomes(each))
        print_line(out, told)


def _becomes(each: ProposedHost) -> Text:
    host = each.host
    if host is None:
        return Text(f"left out: {each.why}", style="dim" if each.intentional else "red")
    if host.prefix is None:
        return Text("no Docker: gets the routes to the others")
    if each.keeps_docker0:
        return Text.assemble((str(host.prefix), "green"), f"  docker0 stays {host.bridge}")
    moves = (
        f"  docker0 moves from {each.old_docker0} to {host.bridge}"
        if each.old_docker0 and each.old_docker0 != host.bridge
        else ""
    )
    return Text.assemble((str(host.prefix), "green"), moves)
