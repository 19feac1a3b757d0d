"""status: probe the mesh, once or repeatedly, and show which hosts reach which."""

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.cli.report_files import ReportFiles, report_options, report_problems
from dockmesh.core.probes.pairs import Pair, pairs_matching, sample_pairs
from dockmesh.core.results.model import MeshResult
from dockmesh.core.text import quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, UsageError
from dockmesh.pipeline import Pipeline
from dockmesh.report.console.probes import print_report, render_report
from dockmesh.report.console.terminal import console
from dockmesh.report.json.status import status_document

_EVERY_S = 5.0
_SEED_BITS = 64


@click.command
@common
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="K",
    help="Number of random targets to probe from each host, instead of all.",
)
@click.option(
    "--pairs", metavar="A:B,...", help="Pairs to probe, in both directions; an end is a name, a glob or tag:NAME."
)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=1,
    metavar="N",
    help="Number of packets per probe, 0.2 s apart (default 1), to measure loss and round trips.",
)
@click.option(
    "--watch",
    is_flag=False,
    flag_value=_EVERY_S,
    type=click.FloatRange(min=1),
    metavar="[S]",
    help=f"Probe repeatedly, S seconds apart (default {_EVERY_S:g}), until Ctrl-C.",
)
@report_options
def status(
    options: Options, *, sample: int | None, pairs: str | None, count: int, watch: float | None, views: ReportFiles
) -> int:
    """Probe the mesh and show which hosts reach which.

    Each host probes the bridge and a container of every host, and a container on each host probes a container on every
    host. A cell shows the reply TTLs of the three probes in this order, and the slowest round trip. For large fleets,
    the result is grouped by kind of probe and by the hosts that others cannot reach; -v shows all hosts.

    The exit status is 3 if a probe failed, a host could not be read, or a change waits for its confirmation.

    With --count, the result also has the share of lost packets, and the minimum, mean and maximum of the round trips.

    --watch refreshes the table in place; without a terminal it prints one table after the other. Ctrl-C ends it with
    exit status 130 and leaves nothing on the hosts.

    --html, --junit, --markdown and --prometheus write the result to files, even if probes failed.

    Example: dockmesh status -i mesh.yml --html mesh.html --junit mesh.xml
    """
    if watch is not None and options.json:
        raise UsageError(
            "--watch does not work with --json. Fix: repeat dockmesh status --json", code=UsageCode.CONFLICTING_OPTIONS
        )
    choose = _choice(options, sample, pairs)
    out, verbose = console(color=options.color), options.verbose > 0
    with open_run(options, quiet=watch is not None) as pipeline:
        if watch is not None:
            _watch(out, lambda: _probe(pipeline, choose(), count, views)[0], every_s=watch, verbose=verbose)
        result, unsaved = _probe(pipeline, choose(), count, views)
    if options.json:
        print_json(status_document(result))
    else:
        print_report(out, result, verbose=verbose, brief=options.quiet)
    return unsaved if result.ok else HostError.exit_status


def _probe(
    pipeline: Pipeline, pairs: frozenset[Pair] | None, packets: int, views: ReportFiles
) -> tuple[MeshResult, int]:
    """Probe once and write the report files. Returns the result and the exit status of the files."""
    result = pipeline.status(pairs, packets)
    return result, report_problems(views.write(result))


def _choice(options: Options, sample: int | None, pairs: str | None) -> Callable[[], frozenset[Pair] | None]:
    """A function that returns the pairs of the next run; None means all pairs.

    Raises:
        UsageError: --sample or --pairs is wrong.
    """
    if sample is not None and pairs is not None:
        raise UsageError("--sample and --pairs exclude each other. Fix: remove one", code=UsageCode.CONFLICTING_OPTIONS)
    fleet = options.fleet()
    if sample is not None:
        hosts = options.hosts(fleet)
        return lambda: sample_pairs(fleet, hosts, sample, secrets.randbits(_SEED_BITS))
    chosen = pairs_matching(fleet, pairs) if pairs is not None else None
    if chosen is not None and not any(host.name == source for host in options.hosts(fleet) for source, _ in chosen):
        raise UsageError(
            f"--pairs {quoted(pairs or '')}: no host that --limit selects is the source of such a pair. "
            "Fix: --pairs with two different hosts, and without --limit",
            code=UsageCode.BAD_PAIR,
        )
    return lambda: chosen


def _watch(out: Console, probe: Callable[[], MeshResult], *, every_s: float, verbose: bool) -> NoReturn:
    """Probe, print and wait until interrupted. Refreshes in place on a terminal, elsewhere prints block after block.

    Raises:
        KeyboardInterrupt: always, as the only end.
    """
    if not out.is_terminal:
        while True:
            out.print(_block(out, probe(), every_s=every_s, verbose=verbose), Text())
            out.file.flush()
            time.sleep(every_s)
    with Live(console=out, auto_refresh=False) as live:
        while True:
            live.update(_block(out, probe(), every_s=every_s, verbose=verbose), refresh=True)
            time.sleep(every_s)


def _block(out: Console, result: MeshResult, *, every_s: float, verbose: bool) -> Group:
    now = datetime.now().astimezone()
    when = Text(f"{now:%Y-%m-%d %H:%M:%S}, every {every_s:g} s; Ctrl-C ends it", style="dim")
    return Group(when, render_report(out, result, verbose=verbose))
