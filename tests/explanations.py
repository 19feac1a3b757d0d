"""A probe from host1 (Docker 20.10) to host3 (28.5) of the lab, recorded, and changed section by section."""

from collections.abc import Mapping
from pathlib import Path

from builders import FLEET, SectionOutput, section

from dockmesh.core.explain import script
from dockmesh.core.explain.diagnose import explain
from dockmesh.core.explain.evidence import Evidence, HostEvidence
from dockmesh.core.explain.model import Explanation, explain_query
from dockmesh.core.explain.snapshot import parse_snapshot
from dockmesh.core.host_output import Sections, split
from dockmesh.core.model import Fleet
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure

DATA = Path(__file__).parent / "data" / "explain"
LOST = "PING 10.128.32.2 (10.128.32.2) from 10.128.0.2 : 56(84) bytes of data.\n\n3 packets transmitted, 0 received"
Changes = Mapping[str, SectionOutput]


def recorded_sections(name: str, changes: Changes | None = None) -> Sections:
    """One of the recorded answers, with `changes` in the place of its sections; None leaves one out."""
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
    """A recorded section with one of its lines, or a part of it, replaced."""
    before = recorded_text(name, each)
    assert old in before
    return {each: before.replace(old, new)}


def evidence(
    changes: Mapping[str, Changes] | None = None, *, fleet: Fleet = FLEET, errors: Mapping[str, str] | None = None
) -> Evidence:
    """`changes` by answer: host1-prepared, host1-probe, host1-snapshot, host3-prepared, host3-snapshot."""
    changed, lost = changes or {}, errors or {}
    asked = explain_query(fleet, "host1", "host3")
    sides = []
    for end in asked.ends:
        name = end.host.name
        if name in lost:
            sides.append(HostEvidence(end, error=HostFailure(HostErrorCode.UNREACHABLE, lost[name])))
            continue
        stood = script.parse_prepared(end, recorded_sections(f"{name}-prepared", changed.get(f"{name}-prepared")))
        seen = parse_snapshot(recorded_sections(f"{name}-snapshot", changed.get(f"{name}-snapshot")), stood.before)
        sides.append(HostEvidence(end, stood, seen))
    pinged = script.parse_ping(recorded_sections("host1-probe", changed.get("host1-probe")))
    return Evidence(asked, sides[0], sides[1], pinged)


def explanation(
    changes: Mapping[str, Changes] | None = None, *, lost: bool = True, **more: Mapping[str, str]
) -> Explanation:
    """The walk; by default the probe is lost."""
    all_lost: Mapping[str, Changes] = {"host1-probe": {"ping": (1, LOST), "full_size_ping": (1, LOST)}} if lost else {}
    return explain(evidence({**all_lost, **(changes or {})}, **more))
