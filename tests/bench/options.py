"""What a run of the bench is asked for."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rivals import ansible, openssh, pyinfra

RIVALS = f"{openssh.FLOOR},{openssh.FACTS},{openssh.STOCK},{pyinfra.NAME},{ansible.BATCH}:50,{ansible.LOOP}:10"


@dataclass(frozen=True, slots=True)
class Options:
    """`rivals`: the most hosts that each is measured at, by name. `docker`: as many hosts with Docker, or none.

    `core`: how many of a thousand hosts that are not there are worked out, or none.
    """

    hosts: tuple[int, ...]
    rtt_ms: tuple[int, ...]
    rounds: int
    rivals: dict[str, int]
    docker: int
    lab: str
    tools: Path
    out: Path
    core: int
    keep: bool


def parse(argv: Sequence[str]) -> Options:
    """The options of a call; the defaults end within some ten minutes on two cores."""
    given = _parser().parse_args(argv)
    return Options(
        hosts=tuple(sorted(given.hosts)),
        rtt_ms=tuple(sorted(given.rtt)),
        rounds=given.rounds,
        rivals=dict(map(_rival, filter(None, given.rivals.split(",")))),
        docker=given.docker,
        lab=given.lab,
        tools=given.tools.absolute(),
        out=given.out.absolute(),
        core=given.core,
        keep=given.keep,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench BENCH='…'", description=__doc__)
    parser.add_argument("--hosts", type=_numbers, default=(10, 50, 100), metavar="N,…", help="light hosts")
    parser.add_argument("--rtt", type=_numbers, default=(0, 20), metavar="MS,…", help="round trips to the hosts")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="5 for figures that one can quote")
    parser.add_argument("--rivals", default=RIVALS, metavar="NAME[:N],…", help="each at N hosts at most (%(default)s)")
    parser.add_argument("--docker", type=int, default=0, metavar="N", help="the whole job on N hosts with Docker too")
    parser.add_argument("--core", type=int, default=200, metavar="N", help="hosts worked out of 1,000 without any host")
    parser.add_argument("--lab", default="bench", metavar="NAME", help="the lab's name")
    parser.add_argument("--keep", action="store_true", help="leave the lab up, for the next run")
    parser.add_argument("--tools", type=Path, default=Path(".venv-bench/bin"), metavar="DIR", help="the rivals")
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), metavar="DIR", help="for bench.json, bench.svg"
    )
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _rival(text: str) -> tuple[str, int]:
    name, _, most = text.partition(":")
    return name, int(most or 1_000_000)
