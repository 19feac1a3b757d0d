"""The lab of the faults: a joined mesh, its other states, and the controller as users start it."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import forked_call
from host_view import HostView, read_hosts, stable_view

from dockmesh.lab.inventory import inventory
from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import Topology

CONFIRM_WITHIN_S = 10
# The additional seconds that a host may take.
GRACE_S = 10
MENDED_WITHIN_S = 30
# Changes the rules of every host, but not Docker.
RULES = "mesh:\n  allow: [tcp, udp]\n  source_nat: true"
_MEMORY = r"/etc/dockmesh/(previous\.json|lock|reverted)"
_BUSY = (
    "test ! -e /etc/dockmesh/pending || { echo pending; exit; }; pgrep -f '^sh -s$' && exit;"
    " systemctl list-units --plain --no-legend 'dockmesh-revert*' | grep .;"
    " test ! -e /etc/dockmesh/lock || flock -n /etc/dockmesh/lock true || echo locked"
)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Three joined hosts with their inventories."""

    lab: Lab
    hosts: tuple[str, ...]
    folder: Path
    # The state of the joined hosts before and after each test.
    found: dict[str, HostView] = field(default_factory=dict)

    def inventory(
        self,
        name: str = "mesh",
        *edits: tuple[str, str],
        hosts: Sequence[str] | None = None,
        confirm_within: int = CONFIRM_WITHIN_S,
    ) -> Path:
        """A file with the mesh as the lab has it, after `edits`: each a regular expression and what to put there."""
        wanted = self.hosts if hosts is None else hosts
        topology = self.lab.topology
        text = inventory(Topology(topology.name, tuple(map(topology.host, wanted))))
        text = text.replace("mesh:\n", f"mesh:\n  confirm_within: {confirm_within}\n", 1)
        for pattern, replacement in edits:
            text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            assert count, pattern
        file = self.folder / f"{name}.yml"
        file.write_text(text)
        return file

    def rules(self, **options: Any) -> Path:
        """Other rules on every host; Docker is left alone."""
        return self.inventory("rules", (r"^mesh:$", RULES), **options)

    def bridges(self, *changing: str, **options: Any) -> Path:
        """Another docker0 on these hosts, or on all, so that Docker restarts there."""
        which = "|".join(changing or self.hosts)
        edit = (rf"^(  (?:{which}): .*prefix: ([\d.]+)\.0/20)", r"\1, bridge: \2.129/25")
        return self.inventory("bridges", edit, **options)

    def join(self) -> None:
        """Apply the inventory to the hosts."""
        dockmesh("apply", self.inventory(confirm_within=60), "--serial", "100%", "--no-confirm").expect(0)

    def on(self, host: str, script: str, *, check: bool = True) -> str:
        """The output of a shell on the host, independent of SSH and the network."""
        return self.lab.run(host, ("sh", "-c", script), check=check).stdout.strip()

    def states(self, hosts: Sequence[str] | None = None) -> dict[str, HostView]:
        """The state of every host that dockmesh, or Docker because of it, could change."""
        return {host: _state(sight) for host, sight in read_hosts(self.lab, hosts or self.hosts).items()}

    def settle(self, within_s: float, hosts: Sequence[str] | None = None) -> None:
        """Wait until no script, lock or armed revert of a run is left on the hosts."""
        waiting = list(hosts or self.hosts)
        end = time.monotonic() + within_s
        while waiting:
            busy = self.on(waiting[0], _BUSY, check=False)
            if not busy:
                waiting.pop(0)
            else:
                assert time.monotonic() < end, f"{waiting[0]} is not at rest after {within_s} s: {busy}"
                time.sleep(0.2)


def rules_changed(mesh: Mesh, host: str) -> bool:
    """Whether the host has the rules of `Mesh.rules`."""
    return "meta l4proto udp" in mesh.on(host, "nft list table ip dockmesh")


def _state(sight: HostView) -> HostView:
    kept = stable_view(sight)
    lines = kept["etc"].splitlines()
    return {**kept, "etc": "\n".join(line for line in lines if not re.search(_MEMORY, line))}


def state_difference(state: HostView, wanted: HostView) -> dict[str, tuple[set[str], set[str]]]:
    """The differences of two states: by section, the lines of only one of them."""
    found = {}
    for name, text in state.items():
        here, there = set(text.splitlines()), set(wanted[name].splitlines())
        if text != wanted[name]:
            found[name] = (here - there, there - here)
    return found


def assert_same(states: dict[str, HostView], wanted: dict[str, HostView]) -> None:
    """Assert that every host is completely in that state."""
    found = {host: state_difference(state, wanted[host]) for host, state in states.items()}
    assert not any(found.values()), found


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run of dockmesh."""

    status: int
    out: str
    err: str
    took_s: float

    @property
    def document(self) -> Any:
        """The JSON of --json."""
        return json.loads(self.out)

    @property
    def outcomes(self) -> dict[str, str]:
        """Each host's status, of `apply --json`."""
        return {row["host"]: row["status"] for row in self.document["outcomes"]}

    @property
    def errors(self) -> dict[str, str]:
        """Each host's error, of `apply --json` or `plan --json`."""
        rows = self.document.get("outcomes") or self.document["hosts"]
        return {row["host"]: row["error"] or "" for row in rows}

    @property
    def codes(self) -> dict[str, str | None]:
        """The kind of each host's error, of `apply --json` or `plan --json`."""
        rows = self.document.get("outcomes") or self.document["hosts"]
        return {row["host"]: row["code"] for row in rows}

    @property
    def problems(self) -> list[tuple[str, str | None]]:
        """Code and host of each reason why a saved plan is stale."""
        return [(each["code"], each["host"]) for each in self.document["problems"]]

    def expect(self, status: int) -> "RunResult":
        """This result. Raises AssertionError for another exit status."""
        assert self.status == status, f"exit {self.status}, not {status}\n{self.out[-4000:]}\n{self.err[-4000:]}"
        # The result of a complete mesh matches its forecast.
        assert status or "≠ " not in self.out, self.out
        return self


def phase_of(said: Sequence[str]) -> str:
    """The phase that a run is in, after this output; `reporting` after the last one.

    The preparation of the targets and the probes before the change belong to the change.
    """
    ended = [line.split()[0] for line in said if line.endswith(" s")]
    changed = ended[ended.index("changing") :] if "changing" in ended else []
    if "confirming" in changed:
        return "reporting"
    if changed:
        return "confirming" if "probing" in changed else "probing"
    return "changing" if "reading" in ended else "reading"


def durations_of(said: Sequence[str]) -> dict[str, float]:
    """The seconds of each phase in the output of a complete run."""
    durations: dict[str, float] = Counter()
    for at, line in enumerate(said):
        if line.endswith(" s"):
            durations[phase_of(said[:at])] += float(line.rsplit(": ", 1)[1].removesuffix(" s"))
    return durations


def arguments(verb: str, inventory: Path, *options: str) -> tuple[str, ...]:
    """The arguments of a verb."""
    yes = ("--yes",) if verb in {"apply", "rollback", "destroy"} else ()
    return (verb, *options, *yes, "-i", str(inventory))


def command(verb: str, inventory: Path, *options: str) -> tuple[str, ...]:
    """The command line of a verb."""
    return (sys.executable, "-m", "dockmesh", *arguments(verb, inventory, *options))


def dockmesh(verb: str, inventory: Path, *options: str, within_s: float = 120) -> RunResult:
    """Run a command as users do, to its end."""
    begun = time.monotonic()
    done = forked_call.call(
        arguments(verb, inventory, *options), folder=Path.cwd(), environment=os.environ, within_s=within_s
    )
    # Strict, because dockmesh writes UTF-8 regardless of the output of hosts.
    return RunResult(done.returncode, done.stdout.decode(), done.stderr.decode(), time.monotonic() - begun)


@contextmanager
def running_command(verb: str, inventory: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A running command. At the end of the block, wait for it or kill it."""
    argv = command(verb, inventory, *options)
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def until_line(run: subprocess.Popen[str], beginning: str) -> str:
    """Read the stderr of a run up to the line with that start. Returns the text."""
    assert run.stderr
    read = ""
    for line in run.stderr:
        read += line
        if line.startswith(beginning):
            return read
    raise AssertionError(f"the run ended before it said {beginning!r}: {read}")


def eventually(true: Callable[[], bool], within_s: float, what: str) -> float:
    """Poll until the condition is true. Returns the seconds."""
    begun = time.monotonic()
    assert poll(true, within_s), f"not within {within_s} s: {what}"
    return time.monotonic() - begun


def write_file(mesh: Mesh, host: str, path: str, text: str) -> None:
    """Put a file on the host."""
    mesh.lab.run(host, ("sh", "-c", f"mkdir -p $(dirname {quote(path)}) && cat >{quote(path)}"), text=text, check=True)
