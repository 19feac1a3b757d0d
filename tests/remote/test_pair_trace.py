"""A trace starts both captures before its ping and always ends them."""

from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

import pytest
from builders import FLEET, section

from dockmesh.core.events import Event, HostFinished, PhaseStarted
from dockmesh.core.model import Host
from dockmesh.core.trace.model import CaptureSet, trace_query
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import UnreachableError
from dockmesh.pipeline import TEMPLATES
from dockmesh.remote.fanout import ObservedFanOut
from dockmesh.remote.pair_trace import trace_pair
from dockmesh.remote.probe import Prober
from dockmesh.remote.sessions import Sessions
from dockmesh.remote.transport import HeldScript

ASKED = trace_query(FLEET, "host1:web", "host3:web", run="0123456789ab", size=307)
ADDRESS = {"host1": "10.128.0.2", "host3": "10.128.32.2"}


@dataclass
class TwoHosts:
    """Two hosts with their running captures. `fails`: the steps, by host, in which the session is lost."""

    fails: frozenset[tuple[str, str]] = frozenset()
    lock: Lock = field(default_factory=Lock)
    capturing: set[str] = field(default_factory=set)
    pinged_among: list[set[str]] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def connect(self, host: Host) -> "OneHost":
        return OneHost(self, host.name)


@dataclass
class OneHost:
    """A session with one of the hosts."""

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
        line = script.splitlines()[-2]
        step = next(step for step in ("container", "points", "ping", "collect_captures") if f"{step} " in line)
        if (self.name, step) in self.both.fails:
            raise UnreachableError("the SSH session was lost", code=HostErrorCode.SESSION_LOST)
        with self.both.lock:
            return "".join(section(*said) for said in self._answer(step)) + section("end", "")

    def _answer(self, step: str) -> Iterator[tuple[str, str]]:
        match step:
            case "container":
                yield "container", f"7\n{ADDRESS[self.name]}"
            case "points":
                self.both.capturing.add(self.name)
                yield "points", "container eth0 -\nuplink eth0 02:00:c0:a8:12:80"
            case "ping":
                self.both.pinged_among.append(set(self.both.capturing))
                yield "ping", "sent"
            case _:
                self.both.ended.add(self.name)
                yield from ((f"capture.{number}", b64encode(b"x").decode()) for number in (1, 2))


def run_trace(hosts: TwoHosts) -> CaptureSet:
    """Run a trace and check its events against its result."""
    events: list[Event] = []
    with ThreadPoolExecutor(2) as executor:
        prober = Prober(ObservedFanOut(executor, events.append), Sessions(hosts), TEMPLATES, 0, 5)
        found = trace_pair(prober, ASKED)
    errors = {host: failure.message for host, failure in found.errors.items()}
    assert events == [
        PhaseStarted("capture", 2),
        *(HostFinished("capture", host, at, 2, errors.get(host)) for at, host in ((1, "host1"), (2, "host3"))),
    ]
    return found


def codes(found: CaptureSet) -> dict[str, str]:
    return {host: failure.code for host, failure in found.errors.items()}


def test_one_ping_follows_both_captures_and_both_end() -> None:
    hosts = TwoHosts()
    found = run_trace(hosts)
    assert hosts.pinged_among == [{"host1", "host3"}]
    assert hosts.ended == {"host1", "host3"}
    order = [(each.point.host, each.point.place) for each in found.captures]
    assert order == [("host1", "container"), ("host1", "uplink"), ("host3", "uplink"), ("host3", "container")]
    assert (found.ping_output, found.errors) == ("sent", {})


@pytest.mark.parametrize("host", ["host1", "host3"])
@pytest.mark.parametrize("step", ["container", "points"])
def test_without_captures_on_both_hosts_no_ping_is_sent(host: str, step: str) -> None:
    hosts = TwoHosts(frozenset({(host, step)}))
    found = run_trace(hosts)
    assert hosts.pinged_among == []
    assert hosts.capturing <= hosts.ended
    assert codes(found) == {host: "session-lost"}


@pytest.mark.parametrize("step", ["ping", "collect_captures"])
def test_a_session_lost_later_is_the_error_of_its_host(step: str) -> None:
    hosts = TwoHosts(frozenset({("host1", step)}))
    found = run_trace(hosts)
    assert codes(found) == {"host1": "session-lost"}
    assert "host3" in hosts.ended
