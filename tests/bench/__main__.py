"""Benchmark of dockmesh's commands against OpenSSH, pyinfra and Ansible, for the same job: `make bench`.

Every call is a cold process on hosts of the lab, and the tools take turns. Compare the ratios of one run; the seconds
depend on the machine and its load. With `--data`, it measures the traffic of containers instead (`tests/bench/data/`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from dockmesh.errors import LabError
from dockmesh.lab import lifecycle, preflight
from dockmesh.lab.running import Lab
from tests.bench import job, startup
from tests.bench.core import measure as measure_core
from tests.bench.data import data_path
from tests.bench.document import document
from tests.bench.fleet import fleet
from tests.bench.goals import goals
from tests.bench.markdown import markdown
from tests.bench.options import Options, parse
from tests.bench.output import write
from tests.bench.python import on_hosts
from tests.bench.rivals.choice import chosen
from tests.bench.rivals.openssh import FLOOR
from tests.bench.rivals.tool import Tool
from tests.bench.sample import Sample, Samples
from tests.bench.table import table
from tests.far_controller import far_controller


def main() -> None:
    """Run the benchmark that the options select."""
    options = parse(sys.argv[1:])
    preflight.check()
    if options.data:
        data_path.run(options)
    else:
        _run_commands(options)


def _run_commands(options: Options) -> None:
    """Measure, write bench.json, .md and .svg, and print the table; an interrupted run writes its samples so far."""
    startup_ms = startup.measure()
    core, absent = measure_core(options.core) if options.core else ({}, {})
    taken: list[Sample] = []
    failure: BaseException | None = None
    try:
        for sample in _all(options, absent):
            taken.append(sample)  # noqa: PERF402 (a failure must not lose earlier samples)
    except (SystemExit, LabError, KeyboardInterrupt) as error:
        failure = error
    samples = Samples(tuple(taken))
    checked = tuple(goals(samples, startup_ms, core))
    result = document(samples, checked, options.tools, startup=startup_ms, core=core, absent=absent)
    write(result, options, "bench", Path(__file__).with_name("plot.py"))
    (options.out / "bench.md").write_text("\n".join(markdown(samples, checked)), encoding="utf-8")
    for line in (*table(samples, checked), *(f"not measured: {name}, {why}" for name, why in absent.items())):
        print(line)
    if failure:
        raise failure


def _all(options: Options, absent: dict[str, str]) -> Iterator[Sample]:
    with _lab(options, max(options.few, *options.hosts), light=True) as lab, on_hosts(lab) as no_python:
        tools, missing = chosen(options, no_python)
        absent |= missing
        if options.few:
            for rtt_ms in (0, options.few_rtt_ms):
                yield from _measure(lab, options, tools, rtt_ms, options.few, few=True)
        for rtt_ms, hosts in product(options.rtt_ms, options.hosts):
            yield from _measure(lab, options, tools, rtt_ms, hosts)
    if options.docker:
        floor = tuple(tool for tool in chosen(options, None)[0] if tool.name == FLOOR)
        with _lab(options, options.docker, light=False) as lab:
            yield from _measure(lab, options, floor, 0, options.docker, docker=True)


@contextmanager
def _lab(options: Options, hosts: int, *, light: bool) -> Iterator[Lab]:
    name = options.lab if light else f"{options.lab}-docker"
    # Light hosts use this machine's release, because their Python comes from this machine's packages.
    releases = (_release(),) if light else ("bookworm", "trixie", "forky")
    try:
        yield lifecycle.up(name, hosts, releases, light=light)
    finally:
        if not options.keep:
            lifecycle.down(name)


def _measure(
    lab: Lab,
    options: Options,
    tools: tuple[Tool, ...],
    rtt_ms: int,
    hosts: int,
    *,
    docker: bool = False,
    few: bool = False,
) -> Iterator[Sample]:
    with far_controller(lab, rtt_ms) as controller, fleet(lab, hosts) as made:
        measured_ms = controller.rtt_ms(made.addresses[0])
        sys.stderr.write(f"RTT {measured_ms:.2f} ms, requested {rtt_ms} ms\n")
        place = job.Place(made, controller, rtt_ms, measured_ms, docker, few)
        able = tuple(tool for tool in tools if hosts <= tool.most)
        job.warm(place, able)
        for number in range(1, options.rounds + 1):
            yield from job.rounds(place, able, number, options.verbs)


def _release() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line).get("VERSION_CODENAME", "bookworm").strip('"')


main()
