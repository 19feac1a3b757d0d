"""explain: name the fault on the path between two hosts, and its remedy."""

import secrets

import click

from dockmesh.cli.completion import hosts
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.core.explain.diagnose import explain as diagnose
from dockmesh.core.explain.model import explain_query
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, UsageError
from dockmesh.report.console.explain import print_explanation
from dockmesh.report.console.terminal import console
from dockmesh.report.json.explain import explain_document

# The payload size distinguishes the probe from other pings, which use 56 bytes or fill a packet.
_SIZES = range(100, 1100)


@click.command
@common
@click.argument("source", metavar="A", shell_complete=hosts)
@click.argument("target", metavar="B", shell_complete=hosts)
def explain(options: Options, source: str, target: str) -> int:
    """Send one probe from A to B, and check every step of its path in both directions on both hosts.

    Names the fault that breaks the path, and the command that repairs it. A and B are HOST or HOST:CONTAINER. HOST
    alone is the target that status probes. Nothing changes on the hosts.

    The exit status is 0 if the probe got its reply, even if a step is faulty, else 3.

    Example: dockmesh explain -i mesh.yml docker128 docker130
    """
    if options.limit is not None:
        raise UsageError(
            "explain: --limit has no meaning here, as A and B name the hosts. Fix: remove --limit",
            code=UsageCode.CONFLICTING_OPTIONS,
        )
    query = explain_query(options.fleet(), source, target, size=secrets.choice(_SIZES))
    with open_run(options) as pipeline:
        evidence = pipeline.explain(query)
    explanation = diagnose(evidence)
    if options.json:
        print_json(explain_document(explanation))
    else:
        print_explanation(console(color=options.color), explanation, verbose=options.verbose > 0, brief=options.quiet)
    return 0 if explanation.reached else HostError.exit_status
