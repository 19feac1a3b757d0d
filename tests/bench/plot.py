"""SVG plot of cost against fleet size: `python plot.py BENCH.json BENCH.svg`, with the Python of the rivals."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
# Keep text as text, and make the file reproducible.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dockmesh"})

from matplotlib import pyplot as plt  # noqa: E402 (the backend first)

_VERBS = ("read", "apply", "add-one-host", "status", "destroy")
_PANELS = (("wall_s", "wall time, s"), ("cpu_s", "controller CPU, s"))


def draw(document: dict[str, Any], file: Path) -> None:
    """Draw a row per round trip and cost: read of every tool, apply of every tool, all verbs of dockmesh."""
    samples = [each for each in document["samples"] if not each["docker"] and not each["few"]]
    rows = [(rtt, *panel) for rtt in sorted({each["rtt_ms"] for each in samples}) for panel in _PANELS]
    figure, axes = plt.subplots(len(rows), 3, figsize=(14, 4 * len(rows)), squeeze=False)
    tools = list(dict.fromkeys(each["tool"] for each in samples))
    for (rtt, cost, label), row in zip(rows, axes, strict=True):
        here = [each for each in samples if each["rtt_ms"] == rtt]
        for axis, verb in zip(row, ("read", "apply"), strict=False):
            _panel(axis, here, cost, [(tool, tool, verb) for tool in tools])
            axis.set_title(f"{verb}, RTT {rtt} ms")
        _panel(row[2], here, cost, [(verb, "dockmesh", verb) for verb in _VERBS])
        row[2].set_title(f"dockmesh, RTT {rtt} ms")
        row[0].set_ylabel(label)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def _panel(axis: Any, samples: list[dict[str, Any]], cost: str, lines: list[tuple[str, str, str]]) -> None:
    for place, (label, tool, verb) in enumerate(lines):
        own = [each for each in samples if (each["tool"], each["verb"]) == (tool, verb)]
        sizes = sorted({each["hosts"] for each in own})
        costs = [statistics.median(each[cost] for each in own if each["hosts"] == size) for size in sizes]
        if sizes:
            axis.plot(sizes, costs, marker="o", label=label, color=f"C{place}")
    axis.set(xscale="log", yscale="log", xlabel="hosts")
    every = sorted({each["hosts"] for each in samples})
    axis.set_xticks(every, [str(size) for size in every], minor=False)
    axis.tick_params(axis="x", which="minor", labelbottom=False)
    axis.grid(visible=True, alpha=0.3)
    if axis.lines:
        axis.legend(fontsize="small")


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
