"""Hosts lose power at any moment of a change. Each boots in its old or its new state, and the next run converges."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import labs
from fault_lab import CONFIRM_WITHIN_S, GRACE_S, Mesh, RunResult, command, dockmesh, durations_of, state_difference
from host_view import HostView

from dockmesh.lab import cgroup, lifecycle
from dockmesh.lab.process import poll

SEED = 20261130
HOSTS = ("host1", "host2", "host3")
# Power cuts per host.
ROUNDS = int(os.environ.get("DOCKMESH_POWER_CUTS", "7"))
# From the original state and back to it. "revert" makes the host revert a change to that state.
WALK = (
    ("apply", "mesh"),
    ("apply", "rules"),
    ("rollback", "mesh"),
    ("revert", "rules"),
    ("apply", "bridges"),
    ("revert", "mesh"),
    ("destroy", "original"),
)
# The event that starts the clock, and the longest time until the cut. None: as long as the change lasts.
MOMENTS = (("locked", 0.5), ("arming", 0.2), ("pending", None), ("pending", None), ("disarmed", 0.2), ("disarmed", 4.0))
EMPTY = (
    "find /etc/dockmesh /etc/docker /etc/systemd/system -type f -empty"
    " -not -name lock -not -name '*.dockmesh-new' -not -path '/etc/dockmesh/arming/*'"
)
# A cut while the revert is being armed may leave these files. They have no effect, and the next change removes them.
UNARMED = r"/etc/dockmesh(/arming| d)|/dockmesh-revert\.service\.dockmesh-new"
SETTLES_WITHIN_S = 35.0


@dataclass(frozen=True)
class Cut:
    """A power cut, and the state in which the host booted."""

    host: str
    verb: str
    target: str
    event: str
    after_s: float
    confirmed: bool
    state: str


@dataclass(frozen=True)
class Walker:
    """One host, which walks from state to state and loses power on each way."""

    mesh: Mesh
    host: str
    chance: random.Random
    # By state.
    inventories: dict[str, Path]
    views: dict[str, HostView]
    durations_s: dict[str, float]
    moments: list[tuple[str, float | None]] = field(default_factory=list)

    def cuts(self, stop: Event) -> Iterator[Cut]:
        """Walk, and lose power once on each way."""
        old = "original"
        for number in range(ROUNDS):
            if stop.is_set():
                return
            verb, new = WALK[number % len(WALK)]
            cut = self._cut(verb, old, new)
            sys.stdout.write(f"{cut}\n")
            yield cut
            old = new

    def _cut(self, verb: str, old: str, new: str) -> Cut:
        if not self.moments:
            self.moments.extend(self.chance.sample(MOMENTS, len(MOMENTS)))
        event, longest_s = self.moments.pop()
        after_s = round(self.chance.uniform(0, longest_s or self.durations_s[new]), 3)
        where = f"{self.host}, {verb} {new}, {after_s} s after {event}"
        confirmed = self._lose_power(verb, new, event, after_s)
        lifecycle.boot(self.mesh.lab, self.mesh.lab.topology.host(self.host))
        empty = self.mesh.on(self.host, EMPTY, check=False)
        assert not empty, f"{where}: empty {empty}"
        self.mesh.settle(CONFIRM_WITHIN_S + GRACE_S, [self.host])
        self.mesh.on(self.host, "docker start web")
        state = self._state((new, old), where, besides=UNARMED)
        assert state == new or not confirmed, f"{where}: lost the confirmed change"
        again = self._dockmesh(verb, new)
        # The other hosts are in other states, so probes may fail.
        assert again.outcomes[self.host] in {"confirmed", "unchanged"}, f"the next run after {where}: {again}"
        if verb != "destroy":
            assert self._dockmesh("plan", new).document["hosts"][0]["changes"] == [], where
        self._state((new,), f"the next run after {where}")
        return Cut(self.host, verb, new, event, after_s, confirmed, state)

    def _state(self, names: tuple[str, ...], where: str, *, besides: str = "$^") -> str:
        """The first of these states that the host reaches, besides such lines in the list of files."""
        differences: dict[str, list[str]] = {}

        def reached() -> bool:
            view = self.mesh.states([self.host])[self.host]
            for name in names:
                sections = state_difference(view, self.views[name])
                lines = [line for sides in sections.values() for side in sides for line in side]
                differences[name] = [line for line in lines if not re.search(besides, line)]
            return not all(differences.values())

        assert poll(reached, SETTLES_WITHIN_S), f"{where}: {min(differences.items(), key=lambda each: len(each[1]))}"
        return next(name for name in names if not differences[name])

    def _arguments(self, verb: str, new: str) -> tuple[str, Path, str, str, str]:
        return "apply" if verb == "revert" else verb, self.inventories[new], "--limit", self.host, "--json"

    def _dockmesh(self, verb: str, new: str) -> RunResult:
        return dockmesh(*self._arguments(verb, new), *(("--no-confirm",) if verb in {"apply", "revert"} else ()))

    def _lose_power(self, verb: str, new: str, event: str, after_s: float) -> bool:
        """Run the command, and cut the power during it. Returns whether it had confirmed the change."""
        unprobed = ("--no-confirm",) if verb == "apply" else ()
        log = self.mesh.folder / f"{self.host}.log"
        log.unlink(missing_ok=True)
        argv = command(*self._arguments(verb, new), *unprobed, "--log-file", str(log))
        silent = subprocess.DEVNULL
        with subprocess.Popen(argv, stdin=silent, stdout=silent, stderr=silent) as run:
            try:
                if verb == "revert":
                    self._start_revert(run)
                self._wait_for(event, run)
                time.sleep(after_s)
                confirmed = '"confirmed"' in _text(log)
                self.mesh.lab.cut_power(self.host)
            finally:
                run.kill()
        return confirmed

    def _start_revert(self, run: "subprocess.Popen[bytes]") -> None:
        """Kill the controller after the change, and let the host revert it."""
        self._wait_for("pending", run)
        run.send_signal(signal.SIGSTOP)
        unlocked = "test ! -e /etc/dockmesh/lock || flock -n /etc/dockmesh/lock true; echo $?"
        assert poll(lambda: self.mesh.on(self.host, unlocked) == "0", 60), "the change lasts"
        run.kill()
        self.mesh.on(self.host, "systemctl start --no-block dockmesh-revert.service")

    def _wait_for(self, event: str, run: "subprocess.Popen[bytes]") -> None:
        """Wait for an event on the host's disk, or for the end of the run."""
        machine = self.mesh.lab.machine(self.mesh.lab.topology.host(self.host))
        folder = Path(f"/proc/{cgroup.supervisor(machine.handle)}/root{machine.upper}/etc/dockmesh")
        pending, lock = folder / "pending", folder / "lock"
        was_pending = reached = False
        while not reached and (run.poll() is None or pending.exists()):
            was_pending = was_pending or pending.exists()
            match event:
                case "locked":
                    reached = was_pending or "@" in _text(lock)
                case "arming":
                    reached = was_pending or (folder / "arming").exists()
                case "pending":
                    reached = was_pending
                case _:
                    reached = was_pending and not pending.exists()
            time.sleep(0.001)


def _text(file: Path) -> str:
    """The text of a file; empty without the file, which the host may remove at any time."""
    try:
        return file.read_text()
    except OSError:
        return ""


def test_a_power_cut_leaves_each_host_old_or_new(tmp_path: Path) -> None:
    stop = Event()

    def walk(walker: Walker) -> list[Cut]:
        try:
            return list(walker.cuts(stop))
        except BaseException:
            stop.set()
            raise

    with labs.running_lab("power", len(HOSTS), disk=True) as lab, ThreadPoolExecutor(len(HOSTS)) as pool:
        mesh = Mesh(lab, HOSTS, tmp_path)
        inventories = {"mesh": mesh.inventory(), "rules": mesh.rules(), "bridges": mesh.bridges()}
        inventories["original"] = inventories["mesh"]
        states, durations_s = {"original": mesh.states()}, {}
        for name in ("mesh", "rules", "bridges", "original"):
            verb = "destroy" if name == "original" else "apply"
            done = dockmesh(verb, inventories[name], "--serial", "100%").expect(0)
            durations_s[name] = durations_of(done.err.splitlines())["changing"]
            states.setdefault(name, mesh.states())
        walkers = [
            Walker(
                mesh,
                host,
                random.Random(f"{SEED} {host}"),
                inventories,
                {name: views[host] for name, views in states.items()},
                durations_s,
            )
            for host in HOSTS
        ]
        cuts = [cut for walked in pool.map(walk, walkers) for cut in walked]
    assert len(cuts) == ROUNDS * len(HOSTS)
    assert len(Counter(cut.event for cut in cuts)) == len({event for event, _longest in MOMENTS})
