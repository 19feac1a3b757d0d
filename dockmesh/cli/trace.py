"""trace: follow one ping hop by hop."""

import re
import secrets
from pathlib import Path

import click

from dockmesh.cli.completion import hosts
from dockmesh.cli.messages import print_message
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.core.trace.model import CaptureSet, trace_query
from dockmesh.core.trace.reconstruct import reconstruct
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, UsageError
from dockmesh.report.console.terminal import console
from dockmesh.report.console.trace import print_trace
from dockmesh.report.json.trace import trace_document

# The payload size distinguishes this ping from others, which use 56 bytes or fill a packet.
_SIZES = range(100, 1100)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@:-]")


@click.command
@common
@click.argument("source", metavar="A", shell_complete=hosts)
@click.argument("target", metavar="B", shell_complete=hosts)
@click.option(
    "--pcap", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Folder to save the captures in."
)
def trace(options: Options, source: str, target: str, pcap: Path | None) -> int:
    """Capture one ping from A to B in the containers and on bridges and uplinks, and show its path in both directions.

    A and B are HOST or HOST:CONTAINER. HOST alone is the target that status probes. That is a container on docker0, or
    a network namespace if none runs, or the host itself if it has no Docker. The hosts need tcpdump or tshark.

    The exit status is 0 if the reply reached A, else 3.

    Example: dockmesh trace -i mesh.yml docker128 docker130:web --pcap captures
    """
    if options.limit is not None:
        raise UsageError(
            "trace: --limit has no meaning here, as A and B name the hosts. Fix: remove --limit",
            code=UsageCode.CONFLICTING_OPTIONS,
        )
    query = trace_query(options.fleet(), source, target, run=secrets.token_hex(6), size=secrets.choice(_SIZES))
    if pcap is not None:
        _make(pcap)
    with open_run(options) as pipeline:
        captures = pipeline.trace(query)
    if pcap is not None:
        _save(pcap, captures)
    result = reconstruct(captures)
    if options.json:
        print_json(trace_document(result))
    else:
        print_trace(console(color=options.color), result, brief=options.quiet)
    return 0 if result.reached else HostError.exit_status


def _make(folder: Path) -> None:
    """Create the folder before any host is contacted.

    Raises:
        UsageError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot create the folder for captures: {error.strerror}", code=UsageCode.CANNOT_WRITE
        ) from error


def _save(folder: Path, captures: CaptureSet) -> None:
    for capture in captures.captures:
        point = capture.point
        if point.error:
            continue
        file = folder / f"{point.host}-{point.place}-{_UNSAFE.sub('_', point.interface)}.pcap"
        try:
            file.write_bytes(capture.pcap)
        except OSError as error:
            raise UsageError(
                f"{file}: cannot save the capture: {error.strerror}", code=UsageCode.CANNOT_WRITE
            ) from error
        print_message(f"saved {file}")
