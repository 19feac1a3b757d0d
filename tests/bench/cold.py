"""Measurement of a cold process: its wall time, CPU time and memory."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dockmesh.lab import cgroup
from dockmesh.lab.process import ENVIRONMENT

_GROUP = "dockmesh-bench-controller"
_LAUNCH = Path(__file__).with_name("launch.py")
_LAST_WORDS_S = 1.0
_KIB_IN_MIB = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a process. `said` has the lines on stderr, each after its time in seconds since the start."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    said: tuple[tuple[float, str], ...]
    stdout: str


def run(argv: Sequence[str], *, within: str, home: Path, ends: frozenset[int]) -> Cost:
    """Run a command in the network namespace `within`, without the user's settings.

    Its own control group includes processes that it leaves running, such as Ansible's connections, and ends them.

    Raises:
        SystemExit: the exit status is not in `ends`, so that the figures are meaningless.
    """
    result, out = home / "cost", home / "stdout"
    inside = (*cgroup.contain(_GROUP), "nsenter", f"--net=/run/netns/{within}", *argv)
    try:
        said = _launch((sys.executable, "-I", "-S", str(_LAUNCH), str(result), *inside), home, out)
        cpu_s = used_s(_GROUP)
    finally:
        cgroup.remove(_GROUP)
    begun, wall_s, peak_kib, status = map(float, result.read_text().split())
    stdout = out.read_text(errors="replace")
    if status not in ends:
        output = "\n".join((stdout[-2000:], *(line for _, line in said[-20:])))
        raise SystemExit(f"{' '.join(argv)} ended with {status:g}:\n{output}")
    after = tuple((at - begun, line) for at, line in said)
    return Cost(wall_s, cpu_s, peak_kib / _KIB_IN_MIB, after, stdout)


def _launch(argv: Sequence[str], home: Path, out: Path) -> list[tuple[float, str]]:
    """Run the launcher; returns the lines on stderr, each after its time."""
    said: list[tuple[float, str]] = []
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT | {"HOME": str(home)},
            cwd=home,
        )
        # Remaining children may keep stderr open, so wait for the command only.
        listening = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
        listening.start()
        process.wait()
    listening.join(_LAST_WORDS_S)
    return list(said)


def used_s(group: str) -> float:
    """CPU time of all processes of the control group, including ended ones."""
    lines = (cgroup.path(group) / "cpu.stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("usage_usec ")) / 1e6


def _listen(stderr: IO[bytes] | None, said: list[tuple[float, str]]) -> None:
    assert stderr is not None
    said.extend((time.monotonic(), line.decode(errors="replace").rstrip()) for line in stderr)
