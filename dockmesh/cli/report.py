"""report: write a saved result in the formats of status."""

from pathlib import Path

import click

from dockmesh.cli.report_files import ReportFiles, report_options, report_problems
from dockmesh.cli.result_file import RESULT_FILE, read_result
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError


@click.command
@click.argument("file", metavar="STATUS.json", type=RESULT_FILE)
@report_options
def report(*, file: Path, views: ReportFiles) -> int:
    """Write a saved result as HTML, JUnit XML, Markdown or Prometheus gauges.

    STATUS.json is the output of `status --json` or `apply --json`.

    Example: dockmesh report monday.json --html monday.html
    """
    if not views.files:
        raise UsageError(
            "report: no file to write. Fix: add --html, --markdown, --junit or --prometheus with a FILE",
            code=UsageCode.MISSING_OPTION,
        )
    return report_problems(views.write(read_result(file)))
