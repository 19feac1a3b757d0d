"""The probe goes once, between two looks at both hosts; one that is lost is not asked again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from builders import FLEET
from explanations import DATA

from dockmesh.core.events import Event, HostFinished, PhaseStarted
from dockmesh.core.explain.diagnose import explain
from dockmesh.core.explain.evidence import Evidence
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import explain_query
from dockmesh.core.model import Host
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import UnreachableError
from dockmesh.pipeline import TEMPLATES
from dockmesh.remote.fanout import ObservedFanOut
from dockmesh.remote.pair_explain import explain_pair
from dockmesh.remote.probe import Prober
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import HeldScript


@dataclass
class TwoHosts:
    """Hosts that answer as recorded. `lost`: the steps, by host, in which the session is."""

    lost: frozenset[tuple[str, str]] = frozenset()
    asked: list[tuple[str, str]] = field(default_factory=list)

    def connect(self, host: Host) -> "OneHost":
        return OneHost(self, host.name)


@dataclass
class OneHost:
    both: TwoHosts
    name: str

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        raise NotImplementedError

    def run(self, script: str, *, timeout_s: float) -> str:
        assert timeout_s > 0
        last = script.splitlines()[-2]
        step = "probe" if "full_size" in last else "snapshot" if last.startswith("read_snapshot ") else "prepared"
        self.both.asked.append((self.name, step))
        if (self.name, step) in self.both.lost:
            raise UnreachableError("the SSH session was lost", code=HostErrorCode.SESSION_LOST)
        return (DATA / f"{self.name}-{step}.txt").read_text(encoding="utf-8")


def gather_evidence(hosts: TwoHosts) -> Evidence:
    events: list[Event] = []
    with ThreadPoolExecutor(2) as executor:
        prober = Prober(ObservedFanOut(executor, events.append), 4, Sessions(hosts), TEMPLATES, 0, 5)
        evidence = explain_pair(prober, explain_query(FLEET, "host1", "host3"))
    sides = ((1, evidence.source), (2, evidence.target))
    assert events == [
        PhaseStarted("look", 2),
        *(HostFinished("look", each.name, at, 2, each.error.message if each.error else None) for at, each in sides),
    ]
    return evidence


def test_the_probe_goes_once_between_two_looks_at_both_hosts() -> None:
    hosts = TwoHosts()
    assert explain(gather_evidence(hosts)).reached
    assert sorted(hosts.asked[:2]) == [("host1", "prepared"), ("host3", "prepared")]
    assert hosts.asked[2] == ("host1", "probe")
    assert sorted(hosts.asked[3:]) == [("host1", "snapshot"), ("host3", "snapshot")]


@pytest.mark.parametrize(
    ("lost", "asked"),
    [
        (("host3", "prepared"), ["host1 prepared", "host1 probe", "host1 snapshot", "host3 prepared"]),
        (("host1", "prepared"), ["host1 prepared", "host3 prepared", "host3 snapshot"]),
        (("host1", "probe"), ["host1 prepared", "host1 probe", "host3 prepared", "host3 snapshot"]),
    ],
)
def test_a_host_that_is_lost_is_not_asked_again_and_the_other_one_is(lost: tuple[str, str], asked: list[str]) -> None:
    hosts = TwoHosts(frozenset({lost}))
    found = explain(gather_evidence(hosts))
    assert sorted(" ".join(each) for each in hosts.asked) == asked
    assert found.fault is not None
    assert found.fault.code == FaultCode.NO_LOGIN
    assert lost[0] in found.fault.cause
    assert {host: error.code for host, error in found.errors.items()} == {lost[0]: "session-lost"}


def test_a_probe_that_came_home_counts_though_a_host_was_lost_afterwards() -> None:
    found = explain(gather_evidence(TwoHosts(frozenset({("host3", "snapshot")}))))
    assert (found.reached, found.fault) == (True, None)
    (login,) = (step for step in found.steps if step.host == "host3" and step.check == "login")
    assert login.ok is None
    assert {host: error.code for host, error in found.errors.items()} == {"host3": "session-lost"}
