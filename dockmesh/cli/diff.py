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
    """Compare two saved results: what B lost since A and why, what recovered, which hosts were added or removed.

    A and B are the output of `status --json` or `apply --json`. The exit status is 3 if B has a new failure, else 0.

    Example: dockmesh diff monday.json today.json
    """
    old, new = read_result(before), read_result(after)
    comparison = compare(old, new)
    if options.json:
        click.echo(json.dumps(diff_document(comparison, new), indent=2))
    else:
        print_comparison(console(color=options.color), comparison, old, new, brief=options.quiet)
    return HostError.exit_status if comparison.worse else 0
