"""Allocated prefixes and proposed hosts on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from dockmesh.core.allocation.prefixes import Allocation
from dockmesh.core.onboarding.propose import ProposedHost
from dockmesh.report.console.terminal import print_line


def print_allocations(out: Console, allocations: Sequence[Allocation], *, file: str, written: bool) -> None:
    """Print a line per host, then whether the prefixes are in `file` or which option writes them."""
    if not allocations:
        out.print(Text("Nothing to do: every host with Docker has a prefix.", style="green"))
        return
    width = max(len(each.host) for each in allocations)
    lines = (Text.assemble(f"{each.host:<{width}}  ", (str(each.prefix), "green")) for each in allocations)
    out.print(Text("\n").join(lines))
    count = "1 prefix" if len(allocations) == 1 else f"{len(allocations)} prefixes"
    summary = f"{count} written to {file}." if written else f"{count} proposed. To write to {file}, add --write."
    out.print(Text(summary, style="bold"))


def print_proposed(out: Console, proposed: Sequence[ProposedHost]) -> None:
    """Print a line per host with its prefix and the change of its docker0, or the reason why it is left out."""
    width = max(len(each.name) for each in proposed)
    for each in proposed:
        print_line(out, Text(f"{each.name:<{width}}  ").append_text(_details(each)))


def _details(each: ProposedHost) -> Text:
    host = each.host
    if host is None:
        return Text(f"left out: {each.why}", style="dim" if each.intentional else "red")
    if host.prefix is None:
        return Text("no Docker; gets routes to its peers")
    if each.keeps_docker0:
        return Text.assemble((str(host.prefix), "green"), f"  docker0 stays {host.bridge}")
    moves = (
        f"  docker0 moves from {each.old_docker0} to {host.bridge}"
        if each.old_docker0 and each.old_docker0 != host.bridge
        else ""
    )
    return Text.assemble((str(host.prefix), "green"), moves)
