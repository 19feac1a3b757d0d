"""What plan, apply and destroy foresee, and say where it came otherwise."""

import json
import re
from pathlib import Path

from conftest import Run
from fakehosts import FakeLan
from refusals import missing_facts


def test_a_plan_ends_with_what_it_gains(run: Run, lan: FakeLan) -> None:
    assert not lan.hosts["host1"].routes
    status, out, _ = run("plan")
    assert status == 2
    counts, first = out.splitlines()[-2:]
    assert re.findall(r"\d+", counts) == ["21", "21", "3"]
    assert missing_facts(first, "+ host1 host2 host3") == []


def test_a_plan_document_counts_before_and_after_and_names_the_probes(run: Run, lan: FakeLan) -> None:
    assert lan.hosts
    found = json.loads(run("plan", "--json")[1])["forecast"]
    assert found["before"] == {"reached": 3, "failing": 18, "unknown": 0}
    assert found["after"] == {"reached": 21, "failing": 0, "unknown": 0}
    assert found["gained"][0] == {
        "source": "host1",
        "kind": "host-bridge",
        "targets": ["host2", "host3"],
        "before": "failing",
        "after": "reached",
        "code": None,
        "reason": None,
    }
    assert found["lost"] == found["failing"] == found["unknown"] == []


def test_of_hosts_that_the_limit_leaves_out_nothing_is_foreseen(run: Run, lan: FakeLan) -> None:
    assert lan.hosts
    out = run("plan", "--limit", "host1")[1]
    assert any(re.match(r" *\? .*host1 → host2\b", line) for line in out.splitlines())
    unknown = json.loads(run("plan", "--limit", "host1", "--json")[1])["forecast"]["unknown"]
    assert ("host1", ["host2"]) in [(each["source"], each["targets"]) for each in unknown]
    assert {each["after"] for each in unknown} == {"unknown"}
    assert {row["code"] for row in unknown} == {"not-read"}


def test_what_destroy_loses_is_said_before_anything_is_touched(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    assert lan.hosts["host3"].routes
    out = run("destroy", "--yes")[1]
    lost = next(line for line in out.splitlines() if re.match(r" *- .*\bhost3 → ", line))
    outcome = next(line for line in reversed(out.splitlines()) if "host3" in line)
    assert out.index(lost) < out.rindex(outcome)


def test_where_nothing_changes_nothing_is_foreseen(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    assert lan.hosts["host3"].routes
    status, out, _ = run("plan")
    assert (status, len(out.splitlines()), missing_facts(out, "3")) == (0, 1, [])
    assert json.loads(run("plan", "--json")[1])["forecast"] is None


def test_an_apply_that_comes_as_foreseen_says_nothing_of_it(run: Run, lan: FakeLan) -> None:
    status, out, _ = run("apply", "--yes", "--json")
    document = json.loads(out)
    assert (status, document["mispredictions"]) == (0, [])
    assert document["plan"]["forecast"]["after"]["reached"] == 21
    assert lan.hosts["host3"].routes


def test_what_was_measured_otherwise_is_told_and_changes_no_exit_code(run: Run, lan: FakeLan) -> None:
    assert run("apply", "--yes")[0] == 0
    # Nothing of what is read shows it.
    lan.hosts["host3"].drops_peers = True
    status, out, _ = run("apply", "--yes")
    assert status == 3
    told = [line for line in out.splitlines() if line.startswith("≠ ")]
    assert missing_facts(told[0], "host1 host3 reached failing") == []
    assert len(told) == 12
    assert json.loads(run("apply", "--yes", "--json")[1])["mispredictions"][0] == {
        "source": "host1",
        "target": "host3",
        "kind": "host-bridge",
        "predicted": "reached",
        "measured": "failing",
        "code": "no-reply",
        "reason": "no reply",
    }


def test_a_saved_plan_is_not_stale_because_what_is_foreseen_is_otherwise(
    run: Run, lan: FakeLan, tmp_path: Path
) -> None:
    assert run("apply", "--yes")[0] == 0
    saved = tmp_path / "plan.json"
    lan.hosts["host1"].resources.pop(("route", "10.128.32.0/20"))
    assert run("plan", "--out", str(saved))[0] == 2
    document = json.loads(saved.read_text())
    assert document["forecast"]["before"]["failing"] > 0
    document["forecast"]["before"]["failing"] = 0
    saved.write_text(json.dumps(document))
    assert run("apply", str(saved), "--yes")[0] == 0
