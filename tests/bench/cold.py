"""A cold process, from its start to its end: what it took of time, of processor and of memory."""

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
    """`said`: each line on stderr, behind the second of the run in which it came."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    said: tuple[tuple[float, str], ...]
    stdout: str


def run(argv: Sequence[str], *, within: str, home: Path, ends: frozenset[int]) -> Cost:
    """Run it in the network namespace `within`, with nothing of a user's settings.

    It has a control group of its own: the processes it leaves behind (Ansible's connections) count, and end with it.

    Raises:
        SystemExit: it did not end as it should, so that its figures mean nothing.
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
        told = "\n".join((stdout[-2000:], *(line for _, line in said[-20:])))
        raise SystemExit(f"{' '.join(argv)} ended with {status:g}:\n{told}")
    after = tuple((at - begun, line) for at, line in said)
    return Cost(wall_s, cpu_s, peak_kib / _KIB_IN_MIB, after, stdout)


def _launch(argv: Sequence[str], home: Path, out: Path) -> list[tuple[float, str]]:
    """What it says on stderr, each line behind when it did."""
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
        # What a command leaves behind may hold its stderr open: only the command is waited for.
        listening = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
        listening.start()
        process.wait()
    listening.join(_LAST_WORDS_S)
    return list(said)


def used_s(group: str) -> float:
    """The processor time of all that ever ran in the control group."""
    lines = (cgroup.path(group) / "cpu.stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("usage_usec ")) / 1e6


def _listen(stderr: IO[bytes] | None, said: list[tuple[float, str]]) -> None:
    assert stderr is not None
    said.extend((time.monotonic(), line.decode(errors="replace").rstrip()) for line in stderr)
