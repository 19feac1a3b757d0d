"""The verbs that work from saved results, and contact nobody."""

import json
from pathlib import Path

import click

from dockmesh.cli.options import Options, from_files
from dockmesh.cli.report_files import ReportFiles, report_options, report_problems
from dockmesh.core.results.compare import compare
from dockmesh.core.results.load import load_result
from dockmesh.core.results.model import Result
from dockmesh.errors import HostError, UsageCode, UsageError
from dockmesh.report.console.result_diff import comparison_document, print_comparison
from dockmesh.report.console.terminal import console

_LARGEST = 1 << 30
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command
@from_files
@click.argument("before", metavar="A.json", type=_FILE)
@click.argument("after", metavar="B.json", type=_FILE)
def diff(options: Options, *, before: Path, after: Path) -> int:
    """Compare two results: what B has lost since A and why, what was mended, which hosts came and went.

    A and B are what `status --json` or `apply --json` printed. Exits 3 where something fails that did not before,
    else 0.

    Example: dockmesh diff monday.json today.json
    """
    then, now = _result(before), _result(after)
    found = compare(then, now)
    if options.json:
        click.echo(json.dumps(comparison_document(found, now), indent=2))
    else:
        print_comparison(console(color=options.color), found, then, now, brief=options.quiet)
    return HostError.exit_status if found.worse else 0


@click.command
@click.argument("file", metavar="STATUS.json", type=_FILE)
@report_options
def report(*, file: Path, views: ReportFiles) -> int:
    """Write a saved result, which `status --json` or `apply --json` printed, as the reports that status can write.

    Example: dockmesh report monday.json --html monday.html
    """
    if not views.files:
        raise UsageError(
            "report writes files: name one with --html, --markdown, --junit or --prometheus",
            code=UsageCode.MISSING_OPTION,
        )
    return report_problems(views.write(_result(file)))


def _result(file: Path) -> Result:
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: the result cannot be read", code=UsageCode.CANNOT_READ) from error
    if len(text) > _LARGEST:
        raise UsageError(f"{file}: larger than {_LARGEST >> 20} MiB, which no result is", code=UsageCode.FILE_TOO_LARGE)
    return load_result(text, file=str(file))
