"""The controller dies at any moment. Every host ends completely in its old or its new state."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from threading import Event

import labs
import pytest
from fault_lab import (
    CONFIRM_WITHIN_S,
    GRACE_S,
    Mesh,
    assert_same,
    command,
    dockmesh,
    durations_of,
    phase_of,
    state_difference,
)

SEED = 20261123
PHASES = ("reading", "changing", "probing", "confirming")
SIGNALS = (signal.SIGKILL, signal.SIGINT)
# Each signal in each phase.
AIMS = tuple(product(PHASES, SIGNALS))
# Each fleet moves back and forth. The last four trials restart Docker. A trial whose run leaves the phase before it is
# killed is repeated at the end.
TARGETS = ("rules", "mesh") * 2 + ("bridges", "mesh") * 2
REPEATS = ("rules", "mesh") * 4
# The hosts of each fleet, and its first aim. Together the fleets restart Docker with every aim.
FLEETS = {("host1", "host2"): 0, ("host3", "host4"): 4, ("host5", "host6"): 2}
# The seconds that a change may still take after the controller died, with a restart of Docker.
CHANGE_S = 25


@dataclass(frozen=True)
class Trial:
    """A run that was killed, with the states of its hosts: True for new, False for old."""

    target: str
    signal: signal.Signals
    phase: str
    status: int
    last_words: str
    new: tuple[bool, ...]
    settled_s: float


def kill_in(
    phase: str, lasting_s: float, inventory: Path, chance: random.Random, by: signal.Signals
) -> tuple[int, list[str]]:
    """Start a run and kill it at a random moment of the phase. Returns its exit status and output."""
    argv = command("apply", inventory, "--serial", "100%")
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=pipe, text=True) as run:
        assert run.stderr
        # The first phase begins with the line of the inventory. Each phase ends with its time in a line.
        said = [run.stderr.readline().rstrip()]
        while phase_of(said) != phase and (line := run.stderr.readline()):
            said.append(line.rstrip())
        with suppress_timeout():
            run.wait(timeout=chance.uniform(0, lasting_s))
        run.send_signal(by)
        said += run.stderr.read().splitlines()
        return run.wait(timeout=20), [line.strip() for line in said]


@contextmanager
def suppress_timeout() -> Iterator[None]:
    """Ignore a timeout, which means that the run still continues."""
    try:
        yield
    except subprocess.TimeoutExpired:
        return


def trials(fleet: Mesh, seed: str, first_aim: int, stop: Event) -> Iterator[Trial]:
    """Move the fleet between two states. Each run is killed once and then repeated."""
    aims = deque(AIMS[(first_aim + number) % len(AIMS)] for number in range(len(TARGETS)))
    chance = random.Random(seed)
    inventories = {"mesh": fleet.inventory(), "rules": fleet.rules(), "bridges": fleet.bridges()}
    durations = dict(zip(PHASES, (2.0, 2.0, 1.0, 0.2), strict=True))
    fleet.settle(CONFIRM_WITHIN_S)
    known = {"mesh": fleet.states()}
    old = known["mesh"]
    for target in (*TARGETS, *REPEATS):
        if stop.is_set():
            return
        if not aims:
            break
        phase, by = aims.popleft()
        status, said = kill_in(phase, durations[phase], inventories[target], chance, by)
        begun = time.monotonic()
        fleet.settle(CHANGE_S + CONFIRM_WITHIN_S + GRACE_S)
        settled_s = time.monotonic() - begun
        left = fleet.states()
        again = dockmesh("apply", inventories[target], "--serial", "100%").expect(0)
        measured = durations_of(again.err.splitlines())
        durations = measured if measured.keys() >= set(PHASES) else durations
        if target not in known:
            fleet.settle(CONFIRM_WITHIN_S)
            known[target] = fleet.states()
        new = known[target]
        reached = phase_of(said)
        if reached != phase:
            aims.append((phase, by))
        states = is_new(left, old, new, f"{target}, {by.name} in {reached}")
        yield Trial(target, by, reached, status, " ".join(said[-1:]), tuple(states), round(settled_s, 1))
        old = new
    fleet.settle(CONFIRM_WITHIN_S)
    assert_same(fleet.states(), old)


def is_new(left: dict, old: dict, new: dict, where: str) -> Iterator[bool]:
    """Whether each host is in its new state. Otherwise it must be in its old state."""
    for host, state in left.items():
        to_old, to_new = state_difference(state, old[host]), state_difference(state, new[host])
        assert not to_old or not to_new, f"{host} is in between after {where}: {to_old} from old, {to_new} from new"
        yield not to_new


@pytest.mark.timeout(1200)
def test_a_killed_controller_leaves_each_host_old_or_new(
    tmp_path: Path,
) -> None:
    stop = Event()

    def run(hosts: tuple[str, ...], first_aim: int) -> list[Trial]:
        folder = tmp_path / hosts[0]
        folder.mkdir()
        fleet = Mesh(lab, hosts, folder)
        try:
            fleet.join()
            return list(trials(fleet, f"{SEED} {hosts}", first_aim, stop))
        except BaseException:
            stop.set()
            raise

    with labs.running_lab("fleets", sum(map(len, FLEETS))) as lab, ThreadPoolExecutor(max_workers=len(FLEETS)) as pool:
        ended = [trial for fleet in pool.map(run, FLEETS, FLEETS.values()) for trial in fleet]
    sys.stdout.write("\n".join((f"seed {SEED}", *map(str, ended), "")))
    assert len(ended) >= len(FLEETS) * len(AIMS)
    hits = Counter((trial.phase, trial.signal) for trial in ended)
    assert all(hits[aim] >= len(FLEETS) for aim in AIMS), hits
    strange = [trial for trial in ended if trial.status not in {-signal.SIGKILL, 130, 0}]
    assert not strange, strange
