"""Command-line options of the benchmark."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockmesh.lab.topology import RELEASES
from tests.bench.rivals import ansible, openssh, pyinfra

VERBS = ("read", "apply", "recheck", "status", "add-one-host", "destroy")
RIVALS = f"{openssh.FLOOR},{openssh.FACTS},{openssh.STOCK},{pyinfra.NAME},{ansible.BATCH}:50,{ansible.LOOP}:10"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run. `rivals` has the maximum number of hosts of each tool; `docker` is the number of Docker hosts.

    `few` hosts, at `few_rtt_ms`, show the round trips of each call. `core` is the number of hosts, out of 1,000
    simulated ones, that the measurement of the core plans. `data` selects the benchmark of the data path, and the
    options after it only serve that.
    """

    hosts: tuple[int, ...]
    rtt_ms: tuple[int, ...]
    rounds: int
    verbs: frozenset[str]
    few: int
    few_rtt_ms: int
    rivals: dict[str, int]
    docker: int
    lab: str
    tools: Path
    out: Path
    core: int
    keep: bool
    data: bool
    data_old: bool
    data_peers: tuple[int, ...]
    data_containers: tuple[int, ...]
    data_releases: tuple[str, ...]
    data_s: float


def parse(argv: Sequence[str]) -> Options:
    """Parse the options; a run with the defaults takes about ten minutes on two cores."""
    given = _parser().parse_args(argv)
    return Options(
        hosts=tuple(sorted(given.hosts)),
        rtt_ms=tuple(sorted(given.rtt)),
        rounds=given.rounds or (10 if given.data else 1),
        verbs=frozenset(given.verbs),
        few=given.few,
        few_rtt_ms=given.few_rtt,
        rivals=dict(map(_rival, filter(None, given.rivals.split(",")))),
        docker=given.docker,
        lab=given.lab,
        tools=given.tools.absolute(),
        out=given.out.absolute(),
        core=given.core,
        keep=given.keep,
        data=given.data,
        data_old=given.data_old,
        data_peers=tuple(sorted(given.data_peers)),
        data_containers=tuple(sorted(given.data_containers)),
        data_releases=given.data_releases,
        data_s=given.data_seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench BENCH='…'", description=__doc__)
    parser.add_argument("--hosts", type=_numbers, default=(10, 50, 100), metavar="N,…", help="numbers of light hosts")
    parser.add_argument("--rtt", type=_numbers, default=(0, 20), metavar="MS,…", help="round-trip times to the hosts")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="number of rounds (1; with --data 10); use 5 for published figures"
    )
    parser.add_argument(
        "--verbs", type=_verbs, default=VERBS, metavar="NAME,…", help="verbs to measure (%(default)s); read is plan"
    )
    parser.add_argument(
        "--few", type=int, default=2, metavar="N", help="hosts that show the round trips of each call (2); 0 for none"
    )
    parser.add_argument("--few-rtt", type=int, default=200, metavar="MS", help="round-trip time to these hosts")
    parser.add_argument(
        "--rivals", default=RIVALS, metavar="NAME[:N],…", help="tools, each with at most N hosts (%(default)s)"
    )
    parser.add_argument(
        "--docker", type=int, default=0, metavar="N", help="also measure the job on N hosts with Docker"
    )
    parser.add_argument("--core", type=int, default=200, metavar="N", help="simulated hosts to plan, out of 1,000")
    parser.add_argument("--lab", default="bench", metavar="NAME", help="name of the lab")
    parser.add_argument("--keep", action="store_true", help="keep the lab up for the next run")
    parser.add_argument(
        "--tools", type=Path, default=Path(".venv-bench/bin"), metavar="DIR", help="programs of the rivals"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), metavar="DIR", help="directory of bench.json and bench.svg"
    )
    _add_data_path(parser)
    return parser


def _add_data_path(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data path", "traffic between containers of two hosts, instead of commands")
    data.add_argument("--data", action="store_true", help="measure the data path")
    data.add_argument("--data-old", action="store_true", help="also measure one iptables rule per peer address")
    data.add_argument(
        "--data-peers", type=_numbers, default=(3, 50, 200, 1000), metavar="N,…", help="numbers of peers of each host"
    )
    data.add_argument(
        "--data-containers", type=_numbers, default=(1, 200), metavar="N,…", help="numbers of containers on each host"
    )
    data.add_argument(
        "--data-releases", type=_words, default=RELEASES, metavar="NAME,…", help="Debian releases, one Docker each"
    )
    data.add_argument("--data-seconds", type=float, default=0.5, metavar="S", help="duration of each measurement")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _verbs(text: str) -> tuple[str, ...]:
    if unknown := set(_words(text)) - set(VERBS):
        raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}; the verbs are {', '.join(VERBS)}")
    return _words(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _rival(text: str) -> tuple[str, int]:
    name, _, most = text.partition(":")
    return name, int(most or 1_000_000)
