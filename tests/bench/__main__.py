"""What reading a fleet costs, beside OpenSSH doing the same: `make bench`. Ratios of one run, interleaved.

Both start as cold processes and run the very script that reads a host, on the same hosts, one connection each.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from dockmesh.core.inventory import parse
from dockmesh.core.routing import peers
from dockmesh.core.script import reader
from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab
from dockmesh.pipeline import TEXTS

_HOSTS = 8
_ROUNDS = 7


def main() -> None:
    """Bring hosts up, measure in turns, print minimum, median and maximum, and the ratio of the medians."""
    lab = lifecycle.up("bench", _HOSTS)
    try:
        with TemporaryDirectory() as folder:
            _measure(lab, Path(folder))
    finally:
        lifecycle.down("bench")


def _measure(lab: Lab, folder: Path) -> None:
    inventory = str(lab.inventory)
    ways: dict[str, Callable[[], object]] = {
        "OpenSSH, all at once": lambda: _openssh(lab, scripts),
        "dockmesh plan": lambda: _run([sys.executable, "-m", "dockmesh", "plan", "-i", inventory], {2}),
    }
    scripts = _scripts(lab, folder)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS + 1):
        for name, way in ways.items():
            begun = time.monotonic()
            way()
            seconds[name].append(time.monotonic() - begun)
    print(f"reading {_HOSTS} hosts with Docker, {_ROUNDS} rounds after one to warm up, seconds")
    for name, taken in seconds.items():
        kept = taken[1:]
        print(f"{name:<22} min {min(kept):.2f}  median {statistics.median(kept):.2f}  max {max(kept):.2f}")
    openssh, dockmesh = (statistics.median(taken[1:]) for taken in seconds.values())
    print(f"dockmesh / OpenSSH: {dockmesh / openssh:.2f}")


def _scripts(lab: Lab, folder: Path) -> dict[str, Path]:
    """The script each host is read by, in a file for OpenSSH's stdin; by the host's address."""
    fleet = parse(lab.inventory.read_text(encoding="utf-8"), file=str(lab.inventory))
    files = {}
    for host in fleet.hosts:
        file = folder / host.name
        file.write_text(reader(TEXTS, [peer.underlay for peer in peers(fleet, host)]), encoding="utf-8")
        files[host.login.address] = file
    return files


def _openssh(lab: Lab, scripts: dict[str, Path]) -> None:
    options = ("-o", f"UserKnownHostsFile={lab.inventory.parent / 'known_hosts'}", "-o", "BatchMode=yes")
    key = ("-i", str(lab.inventory.parent / "id_ed25519"))
    inside = ("ip", "netns", "exec", lab.topology.fabric)
    running = []
    for address, script in scripts.items():
        with script.open("rb") as text:
            argv = (*inside, "ssh", "-F", "none", *options, *key, f"root@{address}", "sh -s")
            running.append(subprocess.Popen(argv, stdin=text, stdout=subprocess.DEVNULL))
    if any(process.wait() for process in running):
        raise SystemExit("OpenSSH did not read every host: the figures would not compare")


def _run(argv: list[str], statuses: set[int]) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode not in statuses:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}")


main()
