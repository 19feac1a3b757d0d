"""`explain`: why one host reaches another, or does not."""

import click

from dockmesh.cli.completion import hosts
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.core.explain.diagnose import explain as walk
from dockmesh.core.explain.model import explain_query
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, UsageError
from dockmesh.report.console.explain import print_explanation
from dockmesh.report.console.terminal import console
from dockmesh.report.json.explain import explain_document


@click.command
@common
@click.argument("source", metavar="A", shell_complete=hosts)
@click.argument("target", metavar="B", shell_complete=hosts)
def explain(options: Options, source: str, target: str) -> int:
    """Send one probe from A to B, look at both hosts before and after it, and go its way there and back, step by step.

    Names what breaks the way, and the command that mends it. A and B are HOST or HOST:CONTAINER; HOST alone is what
    status probes. Nothing is changed on the hosts.
    Exits 0 where the probe came home, also if a step is not as it should be; else 3.

    Example: dockmesh explain -i mesh.yml docker128 docker130
    """
    if options.limit is not None:
        raise UsageError(
            "explain goes between the two hosts it names: leave --limit away", code=UsageCode.CONFLICTING_OPTIONS
        )
    asked = explain_query(options.fleet(), source, target)
    with open_run(options) as pipeline:
        seen = pipeline.explain(asked)
    explained = walk(seen)
    if options.json:
        print_json(explain_document(explained))
    else:
        print_explanation(console(color=options.color), explained, verbose=options.verbose > 0, brief=options.quiet)
    return 0 if explained.reached else HostError.exit_status
