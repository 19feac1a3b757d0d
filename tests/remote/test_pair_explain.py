"""An explanation sends one probe between two readings of both hosts. A lost host runs no further script."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from builders import FLEET, section
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
    """Hosts with recorded output. `lost`: the steps, by host, in which the session is lost."""

    lost: frozenset[tuple[str, str]] = frozenset()
    asked: list[tuple[str, str]] = field(default_factory=list)

    def connect(self, host: Host) -> "OneHost":
        return OneHost(self, host.name)


@dataclass
class HeldTrace:
    output: str

    def release(self, *, timeout_s: float) -> str:
        assert timeout_s > 0
        return section("probe_trace", "") + section("end", "")


@dataclass
class OneHost:
    both: TwoHosts
    name: str

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        assert timeout_s > 0
        assert script.endswith("\nhold_end\n")
        return HeldTrace(self.answer("prepared"))

    def run(self, script: str, *, timeout_s: float) -> str:
        assert timeout_s > 0
        return self.answer("probe" if "full_size" in script.splitlines()[-2] else "snapshot")

    def answer(self, step: str) -> str:
        self.both.asked.append((self.name, step))
        if (self.name, step) in self.both.lost:
            raise UnreachableError("the SSH session was lost", code=HostErrorCode.SESSION_LOST)
        return (DATA / f"{self.name}-{step}.txt").read_text(encoding="utf-8")


def gather_evidence(hosts: TwoHosts) -> Evidence:
    events: list[Event] = []
    with ThreadPoolExecutor(2) as executor:
        prober = Prober(ObservedFanOut(executor, events.append), Sessions(hosts), TEMPLATES, 0, 5)
        evidence = explain_pair(prober, explain_query(FLEET, "host1", "host3", size=56))
    sides = ((1, evidence.source), (2, evidence.target))
    assert events == [
        PhaseStarted("look", 2),
        *(HostFinished("look", each.name, at, 2, each.error.message if each.error else None) for at, each in sides),
    ]
    return evidence


def test_one_probe_is_sent_between_two_readings_of_both_hosts() -> None:
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
def test_a_lost_host_runs_no_further_script_and_its_peer_does(lost: tuple[str, str], asked: list[str]) -> None:
    hosts = TwoHosts(frozenset({lost}))
    found = explain(gather_evidence(hosts))
    assert sorted(" ".join(each) for each in hosts.asked) == asked
    assert found.reached is None
    assert found.fault is not None
    assert found.fault.code == FaultCode.NO_LOGIN
    assert lost[0] in found.fault.cause
    assert {host: error.code for host, error in found.errors.items()} == {lost[0]: "session-lost"}


def test_a_reply_counts_even_if_a_host_is_lost_afterwards() -> None:
    found = explain(gather_evidence(TwoHosts(frozenset({("host3", "snapshot")}))))
    assert (found.reached, found.fault) == (True, None)
    (login,) = (step for step in found.steps if step.host == "host3" and step.check == "login")
    assert login.ok is None
    assert {host: error.code for host, error in found.errors.items()} == {"host3": "session-lost"}
