"""diff: compare two saved results."""

import json
from pathlib import Path

import click

from dockmesh.cli.options import Options, from_files
from dockmesh.cli.result_file import RESULT_FILE, read_result
from dockmesh.core.results.compare import compare
from dockmesh.errors import HostError
from dockmesh.report.console.result_diff import print_comparison
from dockmesh.report.console.terminal import console
from dockmesh.report.json.diff import diff_document


@click.command
@from_files
@click.argument("before", metavar="A.json", type=RESULT_FILE)
@click.argument("after", metavar="B.json", type=RESULT_FILE)
def diff(options: Options, *, before: Path, after: Path) -> int:
    """Compare two results: what B has lost since A and why, what was mended, which hosts came and went.

    A and B are what `status --json` or `apply --json` printed. Exits 3 where something fails that did not before,
    else 0.

    Example: dockmesh diff monday.json today.json
    """
    then, now = read_result(before), read_result(after)
    found = compare(then, now)
    if options.json:
        click.echo(json.dumps(diff_document(found, now), indent=2))
    else:
        print_comparison(console(color=options.color), found, then, now, brief=options.quiet)
    return HostError.exit_status if found.worse else 0
