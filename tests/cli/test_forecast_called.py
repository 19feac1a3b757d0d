"""The forecast of plan, apply and destroy, and the report of mispredictions."""

import json
import re
from pathlib import Path

import pytest
from builders import SectionOutput
from conftest import Run
from fakehosts import FakeHost, FakeLan
from refusals import missing_facts


def test_a_plan_ends_with_the_pairs_that_it_gains(run: Run, lan: FakeLan) -> None:
    assert not lan.hosts["host1"].routes
    status, out, _ = run("plan")
    assert status == 2
    counts, first = out.splitlines()[-2:]
    assert re.findall(r"\d+", counts) == ["21", "21", "0", "0", "3", "18", "0"]
    assert missing_facts(first, "+ host1 host2 host3") == []


def test_a_plan_document_has_the_forecast_before_and_after(run: Run, lan: FakeLan) -> None:
    assert lan.hosts
    forecast = json.loads(run("plan", "--json")[1])["forecast"]
    assert forecast["before"] == {"reached": 3, "failing": 18, "unknown": 0}
    assert forecast["after"] == {"reached": 21, "failing": 0, "unknown": 0}
    assert forecast["gained"][0] == {
        "source": "host1",
        "kind": "host-bridge",
        "targets": ["host2", "host3"],
        "before": "failing",
        "after": "reached",
        "code": None,
        "reason": None,
    }
    assert forecast["lost"] == forecast["failing"] == forecast["unknown"] == []


def test_pairs_of_hosts_outside_the_limit_are_unknown(run: Run, lan: FakeLan) -> None:
    assert lan.hosts
    out = run("plan", "--limit", "host1")[1]
    assert any(re.match(r" *\? .*host1 → host2\b", line) for line in out.splitlines())
    unknown = json.loads(run("plan", "--limit", "host1", "--json")[1])["forecast"]["unknown"]
    assert ("host1", ["host2"]) in [(each["source"], each["targets"]) for each in unknown]
    assert {each["after"] for each in unknown} == {"unknown"}
    assert {row["code"] for row in unknown} == {"not-read"}


def test_destroy_prints_lost_pairs_before_it_changes_hosts(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    assert lan.hosts["host3"].routes
    out = run("destroy", "--yes")[1]
    lost = next(line for line in out.splitlines() if re.match(r" *- .*\bhost3 → ", line))
    outcome = next(line for line in reversed(out.splitlines()) if "host3" in line)
    assert out.index(lost) < out.rindex(outcome)


def test_a_plan_without_changes_has_a_forecast(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    assert lan.hosts["host3"].routes
    status, out, _ = run("plan")
    assert (status, len(out.splitlines()), missing_facts(out, "3")) == (0, 2, [])
    forecast = json.loads(run("plan", "--json")[1])["forecast"]
    assert forecast["before"] == forecast["after"] == {"reached": 21, "failing": 0, "unknown": 0}


def test_a_removal_without_changes_has_no_forecast(run: Run, lan: FakeLan) -> None:
    assert not lan.hosts["host3"].routes
    assert json.loads(run("destroy", "--yes", "--json")[1])["plan"]["forecast"] is None


def drop_at_host3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the facts of host3 show a rule of others that drops the packets of its containers."""
    read = FakeHost.sections

    def sections(self: FakeHost, peers: list[FakeHost]) -> dict[str, SectionOutput]:
        found = read(self, peers)
        if self.host.name == "host3":
            rules = str(found["iptables_rules"])
            found["iptables_rules"] = rules.replace("-A FORWARD", "-A FORWARD -i eth0 -j DROP\n-A FORWARD", 1)
        return found

    monkeypatch.setattr(FakeHost, "sections", sections)


def test_a_joined_mesh_with_failing_pairs_makes_plan_exit_3(
    run: Run, lan: FakeLan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("apply", "--yes")[0] == 0
    assert lan.hosts["host3"].routes
    drop_at_host3(monkeypatch)
    status, out, _ = run("plan")
    assert status == 3
    assert any(re.match(r" *✗ .*→ host3\b.*DROP", line) for line in out.splitlines())
    status, out, _ = run("plan", "--json")
    assert (status, json.loads(out)["summary"]["change"]) == (3, 0)
    assert {row["code"] for row in json.loads(out)["forecast"]["failing"]} == {"firewall-drop"}
    assert run("plan", "--limit", "host1,host2")[0] == 0, "host3 does not take part"


def test_pairs_that_fail_after_the_changes_make_plan_exit_3(
    run: Run, lan: FakeLan, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_at_host3(monkeypatch)
    assert not lan.hosts["host3"].routes
    assert run("plan")[0] == 3
    assert run("plan", "--limit", "host1,host2")[0] == 2


def test_a_limited_rollback_predicts_lost_pairs_with_its_peers(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    assert lan.hosts["host2"].routes
    out = json.loads(run("rollback", "--limit", "host2", "--yes", "--json")[1])
    forecast = out["plan"]["forecast"]
    assert forecast["before"] == {"reached": 1, "failing": 0, "unknown": 12}
    assert forecast["after"] == {"reached": 1, "failing": 12, "unknown": 0}
    assert {(row["before"], row["after"]) for row in forecast["lost"]} == {("unknown", "failing")}
    assert {row["source"] for row in forecast["lost"]} == {"host1", "host2", "host3"}


def test_a_correct_forecast_is_not_mentioned_after_apply(run: Run, lan: FakeLan) -> None:
    status, out, _ = run("apply", "--yes", "--json")
    document = json.loads(out)
    assert (status, document["mispredictions"]) == (0, [])
    assert document["plan"]["forecast"]["after"]["reached"] == 21
    assert lan.hosts["host3"].routes


def test_mispredictions_are_reported_without_changing_the_exit_code(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    # The facts of the host do not show this fault.
    lan.hosts["host3"].drops_peers = True
    status, out, _ = run("apply", "--yes")
    assert status == 3
    differences = [line for line in out.splitlines() if line.startswith("≠ ")]
    assert missing_facts(differences[0], "host1 host3 reached failing") == []
    assert len(differences) == 12
    assert json.loads(run("apply", "--yes", "--json")[1])["mispredictions"][0] == {
        "source": "host1",
        "target": "host3",
        "kind": "host-bridge",
        "predicted": "reached",
        "measured": "failing",
        "code": "no-reply",
        "reason": "no reply",
    }


def test_a_different_forecast_does_not_make_a_saved_plan_stale(run: Run, lan: FakeLan, tmp_path: Path) -> None:
    assert run("apply", "--yes")[0] == 0
    saved = tmp_path / "plan.json"
    lan.hosts["host1"].resources.pop(("route", "10.128.32.0/20"))
    assert run("plan", "--out", str(saved))[0] == 2
    document = json.loads(saved.read_text())
    assert document["forecast"]["before"]["failing"] > 0
    document["forecast"]["before"]["failing"] = 0
    saved.write_text(json.dumps(document))
    assert run("apply", str(saved), "--yes")[0] == 0
