"""Start time of `dockmesh --version` and `--help`, in addition to that of the bare interpreter."""

import subprocess
import sys
import time

from tests.bench.rivals.mesh import PROGRAM

_ROUNDS = 11
_CALLS = {"bare": (sys.executable, "-c", "pass"), "--version": (PROGRAM, "--version"), "--help": (PROGRAM, "--help")}


def measure() -> dict[str, tuple[float, ...]]:
    """Milliseconds in addition to the bare interpreter of the same round, after a warm-up round."""
    taken: dict[str, list[float]] = {name: [] for name in _CALLS}
    for _ in range(_ROUNDS + 1):
        for name, argv in _CALLS.items():
            begun = time.monotonic()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
            taken[name].append((time.monotonic() - begun) * 1000)
    bare = taken.pop("bare")[1:]
    return {
        name: tuple(own - base for own, base in zip(own_ms[1:], bare, strict=True)) for name, own_ms in taken.items()
    }
