"""`trace`: one ping, hop by hop."""

import re
import secrets
from pathlib import Path

import click

from dockmesh.cli.completion import hosts
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.core.trace.model import CaptureSet, trace_query
from dockmesh.core.trace.reconstruct import reconstruct
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, UsageError
from dockmesh.report.console.terminal import console
from dockmesh.report.console.trace import print_trace
from dockmesh.report.json.trace import trace_document

# Payloads that nobody else's ping has: neither the usual 56 bytes nor what fills a packet.
_SIZES = range(100, 1100)
_ODD = re.compile(r"[^A-Za-z0-9_.@:-]")


@click.command
@common
@click.argument("source", metavar="A", shell_complete=hosts)
@click.argument("target", metavar="B", shell_complete=hosts)
@click.option(
    "--pcap", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep the captures there."
)
def trace(options: Options, source: str, target: str, pcap: Path | None) -> int:
    """Capture one ping from A to B in the containers, on their bridges and on the uplinks; show its way there and back.

    A and B are HOST or HOST:CONTAINER. HOST alone is what status probes: a container on docker0, where none runs a
    namespace in its place, and without Docker the host itself. The hosts need tcpdump (or tshark).
    Exits 0 where the reply came home, else 3.

    Example: dockmesh trace -i mesh.yml docker128 docker130:web --pcap captures
    """
    if options.limit is not None:
        raise UsageError(
            "trace goes between the two hosts it names: leave --limit away", code=UsageCode.CONFLICTING_OPTIONS
        )
    asked = trace_query(options.fleet(), source, target, run=secrets.token_hex(6), size=secrets.choice(_SIZES))
    if pcap is not None:
        _make(pcap)
    with open_run(options) as pipeline:
        captured = pipeline.trace(asked)
    if pcap is not None:
        _keep(pcap, captured)
    traced = reconstruct(captured)
    if options.json:
        print_json(trace_document(traced))
    else:
        print_trace(console(color=options.color), traced, brief=options.quiet)
    return 0 if traced.reached else HostError.exit_status


def _make(folder: Path) -> None:
    """Before anyone is contacted."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror}: the captures cannot be kept there", code=UsageCode.CANNOT_WRITE
        ) from error


def _keep(folder: Path, captured: CaptureSet) -> None:
    for capture in captured.captures:
        point = capture.point
        if point.error:
            continue
        file = folder / f"{point.host}-{point.place}-{_ODD.sub('_', point.interface)}.pcap"
        try:
            file.write_bytes(capture.pcap)
        except OSError as error:
            raise UsageError(
                f"{file}: {error.strerror}: the capture could not be kept", code=UsageCode.CANNOT_WRITE
            ) from error
        click.echo(f"kept {file}", err=True)
