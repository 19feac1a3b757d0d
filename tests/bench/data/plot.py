"""SVG plot of the data path against the number of peers: `python plot.py DATA.json DATA.svg`."""

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

_LABELS = {"tcp": "TCP", "udp": "UDP of 64 bytes", "rr": "request and reply"}
_VARIANTS = ("limit", "dockmesh", "rule-per-peer", "host-to-host", "vxlan")


def draw(document: dict[str, Any], file: Path) -> None:
    """Draw a row per place and a panel per kind of traffic: medians with the extremes of the rounds.

    Variants without peers are horizontal lines.
    """
    samples = document["samples"]
    places = list(dict.fromkeys(tuple(each["place"].values()) for each in samples))
    figure, axes = plt.subplots(len(places), len(_LABELS), figsize=(14, 4 * len(places)), squeeze=False)
    for place, row in zip(places, axes, strict=True):
        release, docker, containers = place
        for axis, (kind, label) in zip(row, _LABELS.items(), strict=True):
            here = [each for each in samples if (tuple(each["place"].values()), each["kind"]) == (place, kind)]
            _panel(axis, here)
            where = f"Docker {docker} ({release}), containers per host: {containers}"
            axis.set(title=f"{label}\n{where}", ylabel=document["units"][kind])
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def _panel(axis: Any, samples: list[dict[str, Any]]) -> None:
    every = sorted({each["peers"] for each in samples if each["peers"] is not None})
    present = {each["variant"] for each in samples}
    for color, variant in enumerate(_VARIANTS):
        if variant not in present:
            continue
        values: dict[int | None, list[float]] = {}
        for each in samples:
            if each["variant"] == variant:
                values.setdefault(each["peers"], []).append(each["value"])
        if None in values:
            axis.axhline(statistics.median(values[None]), label=variant, color=f"C{color}", linestyle="--")
            continue
        medians = [statistics.median(values[size]) for size in every]
        spread = [[abs(medians[at] - end(values[size])) for at, size in enumerate(every)] for end in (min, max)]
        axis.errorbar(every, medians, yerr=spread, marker="o", capsize=3, label=variant, color=f"C{color}")
    axis.set(xscale="log", xlabel="peers")
    axis.set_ylim(bottom=0)
    axis.set_xticks(every, [f"{size:,}" for size in every], minor=False)
    axis.tick_params(axis="x", which="minor", labelbottom=False)
    axis.grid(visible=True, alpha=0.3)
    axis.legend(fontsize="small")


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
