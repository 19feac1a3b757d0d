"""Cost of the core for a large fleet, without hosts: `python -m tests.bench.scale HOSTS KIND SAMPLE`.

Measures the inventory, facts and plans in CPU seconds, which other load does not affect. If SAMPLE is less than HOSTS,
it extrapolates: shared work counts once, and other work counts for every host. Prints one JSON line.
"""

import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dockmesh.core.desired.host_state import desired
from dockmesh.core.desired.uplinks import SmallestUplink, smallest_uplink
from dockmesh.core.facts.host_facts import HostFacts, parse_facts
from dockmesh.core.facts.listings import Listings
from dockmesh.core.inventory import parse as parse_inventory
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.plan import HostPlan, plan_host
from dockmesh.pipeline import TEMPLATES
from tests.bench.answers import CONVERGED, inventory
from tests.builders import NOW

_CHECKOUT = Path(__file__).parents[2]
_MIB = 1 << 20
# The first hosts build the shared tables: one host that joins, and one that has joined.
_MAKING = 2


@dataclass(slots=True)
class Clock:
    """Seconds per host, in order; the first hosts include the shared work."""

    parsing: list[float] = field(default_factory=list)
    planning: list[float] = field(default_factory=list)


def measure(hosts: int, kind: str, sample: int) -> dict[str, float]:
    """Figures by name; `s` and `MiB` are the cost of validate and plan for the whole fleet."""
    clock, text = Clock(), inventory(hosts)
    begun = time.process_time()
    fleet = parse_inventory(text, file="mesh.yml")
    validate_s = time.process_time() - begun
    facts = _parsed(fleet, kind, sample, clock)
    planning = _planned(fleet, facts, clock)
    plans = list(islice(planning, _MAKING))
    _collect()
    before = _resident_mib()
    plans += planning
    _collect()
    kept = (_resident_mib() - before) / (sample - _MAKING)
    changes = sum(len(plan.changes) for plan in plans)
    assert not any(plan.conflicts for plan in plans), plans[0].conflicts
    assert (changes == 0) is (kind == CONVERGED), plans[0].changes[:3]
    parse_s, plan_s = _whole(clock.parsing, hosts), _whole(clock.planning, hosts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "validate s": validate_s,
        "parse facts s": parse_s,
        "parse ms/host": parse_s / hosts * 1000,
        "plan s": plan_s,
        "plan ms/host": plan_s / hosts * 1000,
        "changes/host": changes / sample,
        "s": validate_s + plan_s,
        "MiB": peak + (hosts - sample) * max(0.0, kept),
    }


def _parsed(fleet: Fleet, kind: str, sample: int, clock: Clock) -> dict[str, HostFacts]:
    found, listings = {}, Listings()
    for host, answer in zip(reversed(fleet.hosts), _answers(len(fleet.hosts), kind, sample), strict=False):
        begun = time.process_time()
        found[host.name] = parse_facts(host, answer, NOW, listings)
        clock.parsing.append(time.process_time() - begun)
    return found


def _answers(hosts: int, kind: str, sample: int) -> Iterator[str]:
    argv = (sys.executable, "-m", "tests.bench.answers", str(hosts), kind, str(sample))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=_CHECKOUT) as making:
        assert making.stdout
        while length := making.stdout.readline():
            yield making.stdout.read(int(length)).decode()


def _planned(fleet: Fleet, facts: dict[str, HostFacts], clock: Clock) -> Iterator[HostPlan]:
    begun = time.process_time()
    narrow = smallest_uplink(fleet, facts)
    share = (time.process_time() - begun) / len(facts)
    for name, found in facts.items():
        begun = time.process_time()
        plan = _plan(fleet, fleet.host(name), found, narrow)
        clock.planning.append(time.process_time() - begun + share)
        yield plan


def _plan(fleet: Fleet, host: Host, facts: HostFacts, narrow: SmallestUplink) -> HostPlan:
    """Plan a host as the pipeline does."""
    against = tuple(conflicts(fleet, host, facts, narrow))
    outside = notes(host, facts, narrow)
    return plan_host(facts, desired(fleet, host, facts, narrow, TEMPLATES), narrow, against, outside)


def _whole(seconds: list[float], hosts: int) -> float:
    first, rest = seconds[:_MAKING], seconds[_MAKING:]
    return sum(first) + sum(rest) / len(rest) * (hosts - _MAKING)


def _collect() -> None:
    """Return free memory to the kernel; the rest belongs to the plans."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


if __name__ == "__main__":
    # As the command line sets it.
    gc.set_threshold(100_000)
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))) + "\n")
