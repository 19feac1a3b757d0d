"""Measurement of the pure core at scale, each case in its own process for its memory."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.answers import CONVERGED, FRESH, JOINED

_CHECKOUT = Path(__file__).parents[2]
# 10,000 hosts have 10 ** 8 routes, so only a few hosts are planned.
_OF_TEN_THOUSAND = 8


def measure(of_a_thousand: int) -> tuple[dict[str, float], dict[str, str]]:
    """Figures by `HOSTS KIND WHAT`, and errors by case; plans `of_a_thousand` hosts of 1,000 and extrapolates."""
    found: dict[str, float] = {}
    failed: dict[str, str] = {}
    for hosts, sample in ((1_000, max(3, of_a_thousand)), (10_000, _OF_TEN_THOUSAND)):
        for kind in (FRESH, CONVERGED, JOINED):
            argv = (sys.executable, "-m", "tests.bench.scale", str(hosts), kind, str(sample))
            done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=_CHECKOUT)
            if done.returncode != 0:
                failed[f"core, {hosts} hosts, {kind}"] = done.stderr.strip().rsplit("\n", 1)[-1]
                continue
            case = json.loads(done.stdout)
            figures = ", ".join(f"{what} {value:.3g}" for what, value in case.items())
            sys.stderr.write(f"{hosts} hosts, {kind}, {sample} of them planned: {figures}\n")
            found |= {f"{hosts} {kind} {what}": value for what, value in case.items()}
    return found, failed
