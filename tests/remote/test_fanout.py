"""The fan-out: its limit, the order of results, the failures of hosts and the events."""

import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import count

import pytest
from builders import host

from dockmesh.core.events import Event, HostFinished, PhaseStarted
from dockmesh.core.model import Host
from dockmesh.core.planning.plan import Outcome
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, HostFailure, UnreachableError
from dockmesh.remote.fanout import HostResults, ObservedFanOut, fan_out

HOSTS = [host(f"h{at}", f"192.168.0.{at + 1}") for at in range(40)]


def test_the_failure_of_a_host_is_its_own_result() -> None:
    def job(one: Host) -> str:
        if one.name in {"h3", "h9"}:
            raise UnreachableError(f"{one.name} is down")
        return one.name

    with ThreadPoolExecutor(4) as executor:
        results = {one.name: result for one, result in fan_out(executor, HOSTS, job)}
    assert {name for name, result in results.items() if isinstance(result, HostError)} == {"h3", "h9"}
    assert isinstance(results["h9"], HostError)
    assert results["h9"].failure == HostFailure(HostErrorCode.UNREACHABLE, "h9 is down")
    assert {result for result in results.values() if isinstance(result, str)} == set(results) - {"h3", "h9"}


def test_the_executor_limits_the_number_of_parallel_jobs() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def job(_one: Host) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.005)
        with lock:
            now -= 1

    with ThreadPoolExecutor(3) as executor:
        assert len(list(fan_out(executor, HOSTS, job))) == len(HOSTS)
    assert most == 3


def test_a_slow_host_does_not_delay_other_results() -> None:
    others = threading.Event()
    ready = count(1)

    def job(one: Host) -> None:
        if one is HOSTS[0]:
            assert others.wait(10)
        elif next(ready) == len(HOSTS) - 1:
            others.set()

    with ThreadPoolExecutor(2) as executor:
        order = [one.name for one, _result in fan_out(executor, HOSTS, job)]
    assert order[-1] == "h0"


def test_a_defect_is_raised_and_cancels_jobs_that_have_not_started() -> None:
    started: list[str] = []

    def job(one: Host) -> None:
        started.append(one.name)
        raise LookupError(one.name)

    with ThreadPoolExecutor(1) as executor, pytest.raises(LookupError):
        _drain(executor, job)
    assert len(started) < len(HOSTS)


def _drain(executor: Executor, job: object) -> None:
    for _ in fan_out(executor, HOSTS, job):  # type: ignore[arg-type]
        pass


def test_a_caller_that_stops_early_cancels_the_remaining_jobs() -> None:
    started: list[str] = []
    hold = threading.Event()

    def job(one: Host) -> None:
        started.append(one.name)
        if len(started) > 1:
            hold.wait(10)

    with ThreadPoolExecutor(1) as executor:
        results = fan_out(executor, HOSTS, job)
        next(results)
        results.close()  # type: ignore[attr-defined]
        hold.set()
    assert len(started) <= 2


def test_a_phase_emits_its_start_and_each_finished_host() -> None:
    def job(one: Host) -> Outcome | None:
        if one is HOSTS[1]:
            raise HostError("no", code=HostErrorCode.NOT_ROOT)
        return Outcome(one.name, "refused", "locked", "in use") if one is HOSTS[2] else None

    events: list[Event] = []
    with ThreadPoolExecutor(2) as executor:
        results = ObservedFanOut(executor, events.append).each("read", HOSTS[:3], job)
    assert events[0] == PhaseStarted("read", 3)
    finished = [event for event in events[1:] if isinstance(event, HostFinished)]
    assert len(finished) == len(events) - 1
    assert [(event.phase, event.position, event.total) for event in finished] == [("read", at, 3) for at in (1, 2, 3)]
    assert {event.host: event.error for event in finished} == {"h0": None, "h1": "no", "h2": "in use"}
    assert isinstance(results["h1"], HostError)
    assert results["h1"].code == HostErrorCode.NOT_ROOT


def test_positions_continue_across_waves() -> None:
    events: list[Event] = []
    slow = threading.Event()

    def job(one: Host) -> None:
        if one is HOSTS[0]:
            assert slow.wait(10)

    with ThreadPoolExecutor(3) as executor:
        waves = []
        for wave in ObservedFanOut(executor, events.append).waves("change", HOSTS[:3], job, within_s=0.2):
            waves.append(set(wave))
            slow.set()
    assert waves == [{"h1", "h2"}, {"h0"}]
    assert [event.position for event in events if isinstance(event, HostFinished)] == [1, 2, 3]
    assert events[-1] == HostFinished("change", "h0", 3, 3)


def test_a_phase_without_hosts_has_no_jobs() -> None:
    events: list[Event] = []
    with ThreadPoolExecutor(1) as executor:
        assert ObservedFanOut(executor, events.append).each("read", [], str) == {}
    assert events == [PhaseStarted("read", 0)]


def test_collected_results_separate_values_from_errors() -> None:
    down = UnreachableError("h1 is down")
    collected = HostResults.collect([(HOSTS[0], 7), (HOSTS[1], down)])
    assert collected == HostResults({"h0": 7}, {"h1": HostFailure(HostErrorCode.UNREACHABLE, "h1 is down")})
