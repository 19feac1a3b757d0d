"""Failed probes revert the changed hosts that explain them, and no others."""

from dataclasses import replace

import pytest
from builders import FLEET

from dockmesh.core.planning.plan import OutcomeCode
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult, host_result
from dockmesh.core.rollout.decision import hosts_to_revert
from dockmesh.errors import HostFailure

NAMES = tuple(host.name for host in FLEET.hosts)


def result(*failing: tuple[str, str], unmade: str | None = None) -> MeshResult:
    """A result in which the probes of the `failing` pairs are lost, and those about `unmade` could not be made."""
    probes = (
        replace(probe.result(1, 1, probe.expected_ttl), received=int((probe.source, probe.target) not in failing))
        for probe in plan_probes(FLEET, FLEET.hosts)
    )
    return MeshResult(tuple(map(host_result, FLEET.hosts)), tuple(_with_reason(probe, unmade) for probe in probes))


def _with_reason(probe: ProbeResult, unmade: str | None) -> ProbeResult:
    if unmade in {probe.source, probe.target}:
        stopped = Failure(FailureCode.DOCKER_STOPPED, "Docker is not running", about=unmade)
        return replace(probe, sent=0, received=0).failed(stopped)
    return probe if probe.received else replace(probe, ttl=None).failed(Failure(FailureCode.NO_REPLY, "no reply"))


def both(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one, other), (other, one)


def test_no_host_reverts_without_a_failed_probe() -> None:
    assert not hosts_to_revert(result(), NAMES)


def test_the_host_in_all_failed_pairs_reverts() -> None:
    failing = (*both("host1", "host2"), *both("host1", "host3"))
    assert [*hosts_to_revert(result(*failing), NAMES)] == ["host1"]


def test_a_changed_host_reverts_for_a_pair_with_an_unchanged_host() -> None:
    assert [*hosts_to_revert(result(*both("host1", "host2")), ["host2"])] == ["host2"]


def test_both_hosts_of_a_single_failed_pair_revert() -> None:
    assert set(hosts_to_revert(result(*both("host1", "host2")), NAMES)) == {"host1", "host2"}


def test_a_probe_that_failed_before_reverts_no_host() -> None:
    found = result(*both("host1", "host2"))
    broken = {probe.key for probe in found.failed}
    assert not hosts_to_revert(found, NAMES, broken_before=broken)


def test_failures_from_before_show_which_host_of_a_pair_is_at_fault() -> None:
    found = result(*both("host1", "host2"), *both("host1", "host3"))
    broken = {probe.key for probe in found.failed if "host3" in {probe.source, probe.target}}
    assert [*hosts_to_revert(found, NAMES, broken_before=broken)] == ["host1"]


@pytest.mark.parametrize(("changed", "reverts"), [(["host1"], []), (["host1", "host2"], ["host2"])])
def test_a_probe_that_was_not_made_blames_the_host_that_prevents_it(changed: list[str], reverts: list[str]) -> None:
    assert [*hosts_to_revert(result(unmade="host2"), changed)] == reverts


def test_a_changed_host_without_a_new_session_reverts_with_its_error() -> None:
    failure = HostFailure("unreachable", "no login")
    lost = replace(result(), hosts=tuple(host_result(host, failure) for host in FLEET.hosts[:1]))
    assert hosts_to_revert(lost, NAMES) == {"host1": failure}


def test_a_host_that_follows_a_moved_host_reverts_with_it() -> None:
    failing = (*both("host1", "host2"), *both("host1", "host3"))
    found = hosts_to_revert(result(*failing), NAMES, follows={"host3": {"host1"}})
    assert {name: failure.code for name, failure in found.items()} == {
        "host1": OutcomeCode.PROBES_FAILED,
        "host3": OutcomeCode.MOVE_REVERTED,
    }
