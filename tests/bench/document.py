"""JSON document of the figures."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.figures import growth
from tests.bench.goals import Goal
from tests.bench.sample import Samples
from tests.bench.separate_hosts import figures, latencies


def document(
    samples: Samples,
    goals: Sequence[Goal],
    tools: Path,
    *,
    startup: Mapping[str, tuple[float, ...]],
    core: Mapping[str, float],
    absent: Mapping[str, str],
) -> dict[str, Any]:
    """Build the document, with every sample, so that readers can compute other figures."""
    return {
        "format": "dockmesh/bench/2",
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "versions": _versions(tools),
        "absent": dict(absent),
        "samples": [asdict(each) for each in samples.taken],
        "latency": [asdict(found) | {"tool": tool, "verb": verb} for (tool, verb), found in latencies(samples).items()],
        "figures": [asdict(each) for each in figures(samples)],
        "growth": [asdict(each) for each in growth(samples)],
        "startup_ms": dict(startup),
        "core": dict(core),
        "goals": [asdict(each) | {"met": each.met} for each in goals],
    }


def _versions(tools: Path) -> dict[str, str]:
    found = {"dockmesh": version("dockmesh"), "paramiko": version("paramiko"), "openssh": _output_of(("ssh", "-V"))}
    if (tools / "python").exists():
        script = "import importlib.metadata as m, json; print(json.dumps({n: m.version(n) for n in NAMES}))"
        names = "('ansible-core', 'pyinfra')"
        found |= json.loads(_output_of((str(tools / "python"), "-c", script.replace("NAMES", names))) or "{}")
    return found


def _output_of(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""
