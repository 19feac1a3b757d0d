"""Batches are small enough that every change is confirmed in time, in fleets of ideal hosts and with one that stops."""

from dataclasses import replace
from heapq import heapreplace
from ipaddress import IPv4Address

import pytest
from builders import FLEET

from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.probes.batch import row_s
from dockmesh.core.rollout.batches import Batch, Rollout, batches
from dockmesh.core.rollout.pace import Pace
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import DockerNetworking, Route, Unit
from dockmesh.errors import TooSlowError

CONFIRM_WITHIN_S = 60
ROUTES = (Change(None, Unit("dockmesh.timer", "")),)
RESTART = (Change(DockerNetworking(None), DockerNetworking(None, mtu=1400)),)
# Seconds of an ideal host: a change with the login after it, with a restart of Docker, and a confirmation.
IDEAL_CHANGE_S, IDEAL_RESTART_S, IDEAL_CONFIRM_S = 0.4, 4.0, 0.05
# Seconds of the controller per row and per probe.
IDEAL_ROW_S, IDEAL_PROBE_S = 4e-3, 15e-6


def plans(hosts: int, changes: tuple[Change, ...]) -> list[HostPlan]:
    return [HostPlan(f"host{number}", changes) for number in range(hosts)]


def pace(hosts: int, forks: int, *, within_s: float = CONFIRM_WITHIN_S, probes_per_pair: int = 3) -> Pace:
    return Pace(forks, hosts, probes_per_pair, within_s, row_s)


def ends_in_turns(jobs: int, job_s: float, forks: int) -> list[float]:
    """When each of the jobs ends, with `forks` of them at a time."""
    workers = [0.0] * forks
    ends = []
    for _ in range(jobs):
        end = workers[0] + job_s
        heapreplace(workers, end)
        ends.append(end)
    return ends


def longest_wait_s(batch: Batch, hosts: int, forks: int, *, change_s: float, stuck: int = 0) -> float:
    """The longest time from the end of a change to its confirmation. `stuck` hosts never end their change."""
    changed = len(batch.plans) - stuck
    ends = ends_in_turns(changed, change_s, forks - stuck)
    collected = ends[-1]
    if stuck:
        collected = ends[0] + pace(hosts, forks).collect_s(len(batch.plans))
        assert collected >= ends[-1], "the hosts that respond are one wave"
    pairs = changed * (2 * hosts - changed)
    probed = collected + hosts * IDEAL_ROW_S + 1.6 * bool(stuck) + pairs * 3 * IDEAL_PROBE_S
    confirmed = ends_in_turns(changed, IDEAL_CONFIRM_S, forks - stuck)
    return max(probed + after - end for after, end in zip(confirmed, ends, strict=True))


@pytest.mark.parametrize("changes", [ROUTES, RESTART], ids=["routes", "restarts"])
@pytest.mark.parametrize("forks", [8, 64])
@pytest.mark.parametrize("hosts", [10, 100, 300, 1000])
@pytest.mark.parametrize("stuck", [0, 1])
def test_every_change_is_confirmed_in_time(hosts: int, forks: int, changes: tuple[Change, ...], stuck: int) -> None:
    change_s = IDEAL_CHANGE_S if changes is ROUTES else IDEAL_RESTART_S
    found = [*batches(FLEET, plans(hosts, changes), Rollout(100, percent=True), pace(hosts, forks))]
    assert sum(len(batch.plans) for batch in found) == hosts
    for batch in found:
        some_stuck = stuck if len(batch.plans) > stuck else 0
        wait_s = longest_wait_s(batch, hosts, forks, change_s=change_s, stuck=some_stuck)
        assert wait_s <= CONFIRM_WITHIN_S


@pytest.mark.parametrize(("hosts", "forks", "most"), [(10, 8, 1), (100, 64, 2), (300, 64, 6), (1000, 64, 70)])
def test_batches_are_as_large_as_time_allows(hosts: int, forks: int, most: int) -> None:
    found = [*batches(FLEET, plans(hosts, ROUTES), Rollout(), pace(hosts, forks))]
    number = len(found)
    assert number <= most


def test_a_run_that_takes_too_long_is_refused_with_the_numbers() -> None:
    with pytest.raises(TooSlowError, match=r"1 of 1000 hosts .* --forks 8.*confirm_within \(10 s\)"):
        tuple(batches(FLEET, plans(1, ROUTES), Rollout(), pace(1000, 8, within_s=10)))


def moved(name: str) -> Change:
    """The change of the route to a host whose underlay address has moved."""
    peer = FLEET.host(name)
    assert peer.prefix
    new = Route(peer.prefix, peer.underlay, "eth0")
    return Change(replace(new, next_hop=IPv4Address("192.168.18.250")), new)


def test_a_move_that_takes_too_long_is_refused() -> None:
    changing = [HostPlan("host1", RESTART), HostPlan("host2", (moved("host1"),)), HostPlan("host3", (moved("host1"),))]
    with pytest.raises(TooSlowError, match="3 of 3 hosts change together"):
        tuple(batches(FLEET, changing, Rollout(serial=1), pace(3, 64, within_s=10)))


def test_moved_hosts_change_before_the_hosts_that_follow_them() -> None:
    changing = [HostPlan("host1", (moved("host3"),)), HostPlan("host2", RESTART), HostPlan("host3", RESTART)]
    found = [*batches(FLEET, changing, Rollout(), pace(3, 64))]
    assert [[[plan.host for plan in stage] for stage in batch.stages] for batch in found] == [
        [["host3"], ["host1"]],
        [["host2"]],
    ]
