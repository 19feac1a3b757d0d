"""A change without confirmation: status and plan report it, and a revert by the host itself leaves a record."""

import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fault_lab import (
    CONFIRM_WITHIN_S,
    GRACE_S,
    Mesh,
    assert_same,
    dockmesh,
    running_command,
    until_line,
)
from test_confirm import is_pending

STATE = "/etc/dockmesh"
RECORD = f"{STATE}/reverted"
LONG_S = 300


def interrupt_apply(mesh: Mesh, inventory: Path, hosts: Sequence[str]) -> None:
    """Ctrl-C between the change of the hosts and its confirmation."""
    with running_command("apply", inventory, "--limit", ",".join(hosts), "--serial", "100%") as run:
        until_line(run, "changing")
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=30) == 130
    assert all(is_pending(mesh, host) for host in hosts)


def rows(document: Any) -> dict[str, Any]:
    """The rows of the hosts, by name."""
    return {row["host"]: row for row in document["hosts"]}


def codes_of(row: Any, what: str) -> list[str]:
    return [each["code"] for each in row[what]]


def test_status_and_plan_report_a_pending_change_until_its_revert(mesh: Mesh) -> None:
    before, inventory = mesh.found, mesh.rules(confirm_within=25)
    interrupt_apply(mesh, inventory, mesh.hosts)
    shown = dockmesh("status", inventory, "--json").expect(3)
    now = datetime.now(UTC)
    planned = dockmesh("plan", inventory, "--json").expect(3)
    text = dockmesh("plan", inventory).expect(3).out
    for host, row in rows(shown.document).items():
        pending = row["pending"]
        assert pending["run"].startswith("root@")
        assert 0 < pending["reverts_in_s"] <= 25
        assert -5 < (datetime.fromisoformat(pending["reverts_at"]) - now).total_seconds() < 25
        assert codes_of(rows(planned.document)[host], "conflicts") == ["change-pending"]
        assert rows(planned.document)[host]["pending"]["run"] == pending["run"]
    assert shown.document["summary"]["failed"] == 0
    assert text.count("since 20") == 1, "three hosts are one group"
    refused = dockmesh("apply", inventory, "--json").expect(3)
    assert set(refused.outcomes.values()) == {"refused"}

    mesh.settle(25 + GRACE_S)
    assert_same(mesh.states(), before)
    shown = dockmesh("status", mesh.inventory(), "--json").expect(0)
    planned = dockmesh("plan", mesh.inventory(), "--json").expect(2)
    for host, row in rows(shown.document).items():
        assert row["pending"] is None
        assert row["reverted"]["reason"] == "not-confirmed"
        assert row["reverted"]["run"].startswith("root@")
        assert (datetime.now(UTC) - datetime.fromisoformat(row["reverted"]["at"])).total_seconds() < 60
        assert codes_of(rows(planned.document)[host], "notes") == ["change-reverted"]
        assert [each["key"] for each in rows(planned.document)[host]["changes"]] == [RECORD]
    mesh.join()
    assert [row["reverted"] for row in dockmesh("status", mesh.inventory(), "--json").document["hosts"]] == [None] * 3
    dockmesh("plan", mesh.inventory()).expect(0)


def test_only_the_record_stays_after_a_reverted_first_apply(mesh: Mesh) -> None:
    inventory = mesh.inventory("four", hosts=(*mesh.hosts, "host4"))
    assert mesh.on("host4", f"ls {STATE}", check=False) == ""
    interrupt_apply(mesh, inventory, ("host4",))
    mesh.settle(CONFIRM_WITHIN_S + GRACE_S + 20, ["host4"])
    assert mesh.on("host4", f"ls {STATE}") == "reverted"
    planned = dockmesh("plan", inventory, "--limit", "host4", "--json").expect(2)
    assert "change-reverted" in codes_of(planned.document["hosts"][0], "notes")
    dockmesh("destroy", inventory, "--limit", "host4").expect(0)
    assert mesh.on("host4", f"ls -d {STATE}", check=False) == ""
