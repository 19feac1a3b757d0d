"""A recorded probe from host1 (Docker 20.10) to host3 (28.5) of the lab, with sections that tests can change."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from builders import FLEET, SectionOutput, section

from dockmesh.core.explain import script
from dockmesh.core.explain.diagnose import explain
from dockmesh.core.explain.evidence import Evidence, HostEvidence
from dockmesh.core.explain.model import Explanation, explain_query
from dockmesh.core.explain.snapshot import parse_snapshot
from dockmesh.core.host_output import Sections, split
from dockmesh.core.model import Fleet
from dockmesh.core.netfilter.nft_trace import parse_trace
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure

DATA = Path(__file__).parent / "data" / "explain"
LOST = "PING 10.128.32.2 (10.128.32.2) from 10.128.0.2 : 56(84) bytes of data.\n\n3 packets transmitted, 0 received"
Changes = Mapping[str, SectionOutput]


def recorded_sections(name: str, changes: Changes | None = None) -> Sections:
    """A recorded output with the sections in `changes` replaced. None removes a section."""
    found = split((DATA / f"{name}.txt").read_text(encoding="utf-8"))
    for each, text in (changes or {}).items():
        assert each in found, f"{name} has no section {each}"
        if text is None:
            del found[each]
        else:
            found[each] = split(section(each, text) + section("end", ""))[each]
    return found


def recorded_text(name: str, each: str) -> str:
    return recorded_sections(name)[each].text


def with_replacement(name: str, each: str, old: str, new: str) -> dict[str, SectionOutput]:
    """A recorded section with a part of its text replaced."""
    before = recorded_text(name, each)
    assert old in before
    return {each: before.replace(old, new)}


def evidence(
    changes: Mapping[str, Changes] | None = None,
    *,
    fleet: Fleet = FLEET,
    errors: Mapping[str, str | HostFailure] | None = None,
    traces: Mapping[str, str] | None = None,
) -> Evidence:
    """`changes` by answer: host1-prepared, host1-probe, host1-snapshot, host3-prepared, host3-snapshot.

    `traces`: the output of nft by host. Other hosts cannot trace.
    """
    changed, lost, traced = changes or {}, errors or {}, traces or {}
    asked = explain_query(fleet, "host1", "host3", size=56)
    sides = []
    for end in asked.ends:
        name = end.host.name
        if name in lost:
            error = lost[name]
            failure = error if isinstance(error, HostFailure) else HostFailure(HostErrorCode.UNREACHABLE, error)
            sides.append(HostEvidence(end, error=failure))
            continue
        stood = script.parse_prepared(end, recorded_sections(f"{name}-prepared", changed.get(f"{name}-prepared")))
        after = recorded_sections(f"{name}-snapshot", changed.get(f"{name}-snapshot"))
        trace = parse_trace(traced.get(name, "").splitlines(), IPv4Address("10.128.32.2"), asked.size + 28)
        seen = parse_snapshot(after, stood.before, trace)
        sides.append(HostEvidence(end, stood, seen))
    pinged = script.parse_ping(recorded_sections("host1-probe", changed.get("host1-probe")))
    return Evidence(asked, sides[0], sides[1], None if "host1" in lost else pinged)


def explanation(changes: Mapping[str, Changes] | None = None, *, lost: bool = True, **more: Any) -> Explanation:
    """The explanation of the evidence. By default, the probe is lost."""
    all_lost: Mapping[str, Changes] = {"host1-probe": {"ping": (1, LOST), "full_size_ping": (1, LOST)}} if lost else {}
    return explain(evidence({**all_lost, **(changes or {})}, **more))


def trace_of_request(*events: str, source: str = "10.128.0.2") -> dict[str, str]:
    """The trace of a request on host3, each event as `TABLE CHAIN TEXT`."""
    head = f"packet: ip saddr {source} ip daddr 10.128.32.2 ip ttl 63 ip length 84 icmp type echo-request icmp code 0 "
    own = ("inet dockmesh-explain-9 arrives policy accept ", *events)
    return {
        "host3": "\n".join(
            line
            for event in own
            for line in (
                f"trace id 1 {' '.join(event.split(' ')[:3])} {head}",
                f"trace id 1 {event}",
            )
        )
    }
