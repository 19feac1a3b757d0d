"""The JSON documents: exactly the keys of the contract."""

import json
import re
from dataclasses import asdict
from typing import Any

import pytest
from builders import FLEET, GENERATIONS, facts, plan_of
from hypothesis import given
from hypothesis import strategies as st
from results import AT, mesh_result
from strategies import STATES

from dockmesh.core.planning.findings import Conflict, ConflictCode, Note, NoteCode, StartWarning, WarningCode
from dockmesh.core.planning.plan import HostPlan, Outcome, Plan
from dockmesh.core.probes.model import Probe
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, host_result
from dockmesh.core.state.diff import Change, difference
from dockmesh.core.state.resources import File
from dockmesh.errors import HostFailure
from dockmesh.report.json.apply import apply_document
from dockmesh.report.json.plan import plan_document
from dockmesh.report.json.status import status_document

PLAN_KEYS = {"format", "hosts", "summary", "forecast"}
HOST_KEYS = {"host", "changes", "containers", "conflicts", "notes", "code", "error", "pending", "reverted"}
CHANGE_KEYS = {"kind", "action", "key", "before", "after", "reason"}
SUMMARY_KEYS = {"hosts", "add", "change", "remove", "restart", "conflicts", "errors"}
KINDS = {"route", "file", "firewall", "unit", "service"}
PROBE_KEYS = {
    *("source", "target", "kind", "family", "reached", "sent", "received", "ttl", "expected_ttl", "rtt_ms", "mtu_ok"),
    *("rtt_min_ms", "rtt_max_ms", "loss"),
    *("source_seen", "code", "reason", "about"),
}
TEXTS = (st.text(max_size=3),) * 3
CONFLICTS = st.lists(st.builds(Conflict, st.sampled_from(ConflictCode), *TEXTS), max_size=2).map(tuple)
PLANS = st.lists(
    st.builds(
        HostPlan,
        st.text(max_size=3),
        st.builds(difference, STATES, STATES),
        CONFLICTS,
        st.lists(st.builds(Note, st.sampled_from(NoteCode), *TEXTS), max_size=2).map(tuple),
        st.just("basis"),
        st.none() | st.text(max_size=3),
    ),
    max_size=3,
).map(lambda hosts: Plan(tuple(hosts)))


def checked_document(document: dict[str, Any]) -> dict[str, Any]:
    assert set(document) == PLAN_KEYS
    assert document["format"] == "dockmesh/plan/1"
    assert set(document["summary"]) == SUMMARY_KEYS
    for each in document["hosts"]:
        assert set(each) == HOST_KEYS
        assert list(each["containers"]) == ["restarted", "removed", "not_started"]
        for found in (*each["conflicts"], *each["notes"]):
            assert list(found) == ["code", "key", "message", "remedy"]
            assert all(isinstance(value, str) for value in found.values())
        for change in each["changes"]:
            assert set(change) == CHANGE_KEYS
            assert change["kind"] in KINDS
            assert change["action"] in {"add", "change", "remove", "restart"}
            assert change["before"] is not None or change["after"] is not None
    read: dict[str, Any] = json.loads(json.dumps(document))
    assert read == document
    return read


@given(PLANS)
def test_any_plan_document_has_the_keys_of_the_contract(plan: Plan) -> None:
    document = checked_document(plan_document(plan))
    changes = [change for each in document["hosts"] for change in each["changes"]]
    assert document["summary"] == {
        "hosts": len(plan.hosts),
        **{action: sum(c["action"] == action for c in changes) for action in ("add", "change", "remove", "restart")},
        "conflicts": sum(len(each.conflicts) for each in plan.hosts),
        "errors": sum(each.error is not None for each in plan.hosts),
    }


@pytest.mark.parametrize("generation", GENERATIONS)
def test_plan_document_of_a_real_host_has_readable_values(generation: str) -> None:
    found = facts(f"{generation}_fresh")
    me = FLEET.host(found.host)
    document = checked_document(plan_document(Plan((plan_of(found, me),))))
    changes = {change["key"]: change for change in document["hosts"][0]["changes"]}
    peer = next(each for each in FLEET.hosts if each != me)
    assert changes[str(peer.prefix)]["after"] == f"via {peer.underlay} dev eth0"
    assert changes["docker"]["before"] == "docker0 172.17.0.1/16"
    assert changes["docker"]["action"] == "restart"
    assert changes["/etc/docker/daemon.json"]["after"].startswith(f'{{\n  "bip": "{me.bridge}",\n  "default-address')
    others = [each for each in FLEET.hosts if each != me]
    peers = [*(str(each.prefix) for each in others), *(f"{each.underlay}/32" for each in others)]
    (elements,) = re.findall(r"elements = \{ (.*) \}", changes["ip dockmesh"]["after"])
    assert elements.split(", ") == [each.removesuffix("/32") for each in peers]
    assert changes["raw/PREROUTING"]["after"].startswith(f"-d {me.prefix} ")


def test_apply_document_has_plan_outcomes_and_status() -> None:
    plan = Plan((HostPlan("a", (Change(None, File("/x", "y")),)),))
    warning = StartWarning(WarningCode.UNIT_NOT_STARTED, "k", "m", "r")
    outcomes = [Outcome("a", "reverted", "locked", "no", (warning,))]
    result = mesh_result(("host1",), ())
    document = apply_document(plan, outcomes, result)
    assert set(document) == {"format", "plan", "outcomes", "status", "mispredictions", "broken_before"}
    assert document["format"] == "dockmesh/apply/1"
    checked_document(document["plan"])
    assert json.loads(json.dumps(document["outcomes"])) == [
        {"host": "a", "status": "reverted", "code": "locked", "error": "no", "warnings": [asdict(warning)]}
    ]
    assert list(document["outcomes"][0]["warnings"][0]) == ["code", "key", "message", "remedy"]
    assert document["status"] == status_document(result)
    assert document["mispredictions"] == []
    without = apply_document(plan, outcomes, None)
    assert (without["status"], without["mispredictions"]) == (None, [])


def test_status_document_has_every_probe_and_every_host() -> None:
    good = Probe("host1", "host2", "host-bridge").result(3, 3, 64, 0.1)
    other = Failure(FailureCode.TTL, "the reply's TTL is 62")
    bad = Probe("host2", "host1", "host-container").result(3, 1, 62, 0.2).failed(other)
    host1, host2 = (FLEET.host(name) for name in ("host1", "host2"))
    hosts = (host_result(host1), host_result(host2, HostFailure("timeout", "is down")))
    document = status_document(MeshResult(hosts, (good, bad), "mesh", AT))
    assert set(document) == {"format", "mesh", "time", "partial", "unprobed", "probes", "hosts", "summary"}
    assert (document["mesh"], document["time"]) == ("mesh", "2026-01-02T03:04:05+00:00")
    assert document["partial"] is False
    assert all(set(probe) == PROBE_KEYS for probe in document["probes"])
    first, second = document["hosts"]
    assert (first["host"], first["code"], first["error"]) == ("host1", None, None)
    assert second == {
        "host": "host2",
        "code": "timeout",
        "error": "is down",
        "underlay": "192.168.18.129",
        "prefix": "10.128.16.0/20",
        "underlay6": None,
        "prefix6": None,
        "docker": True,
        "tags": [],
        "pending": None,
        "reverted": None,
    }
    assert document["summary"] == {"probes": 2, "reached": 1, "failed": 1}
    assert document["probes"][1]["reached"] is True
    assert document["probes"][1]["expected_ttl"] == 63
    assert [(probe["code"], probe["reason"]) for probe in document["probes"]] == [
        (None, None),
        ("ttl", "the reply's TTL is 62"),
    ]
    assert list(document["probes"][0])[-3:] == ["code", "reason", "about"]
    assert json.loads(json.dumps(document)) == document
