"""A change without confirmation: status and plan report it, the operator can end it, and a revert leaves a record."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_lab import (
    CONFIRM_WITHIN_S,
    GRACE_S,
    Mesh,
    assert_same,
    dockmesh,
    eventually,
    running_command,
    until_line,
)
from test_confirm import docker_drop_in, is_pending

STATE = "/etc/dockmesh"
RECORD = f"{STATE}/reverted"
LONG_S = 300


def interrupt_apply(mesh: Mesh, inventory: Path, hosts: Sequence[str]) -> None:
    """Ctrl-C between the change of the hosts and its confirmation."""
    with running_command("apply", inventory, "--limit", ",".join(hosts), "--serial", "100%") as run:
        until_line(run, "changing")
        run.send_signal(signal.SIGINT)
        _out, err = run.communicate(timeout=30)
    assert run.returncode == 130, err
    assert all(is_pending(mesh, host) for host in hosts)


def rows(document: Any) -> dict[str, Any]:
    """The rows of the hosts, by name."""
    return {row["host"]: row for row in document["hosts"]}


def codes_of(row: Any, what: str) -> list[str]:
    return [each["code"] for each in row[what]]


@contextmanager
def docker_needs(mesh: Mesh, host: str, text: str) -> Iterator[None]:
    """Docker does not start without this text in daemon.json."""
    with docker_drop_in(mesh, host, f"ExecStartPre=/bin/sh -c 'grep -q {text} /etc/docker/daemon.json'"):
        yield


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


def test_a_killed_revert_starts_again_after_a_minute(mesh: Mesh) -> None:
    before, inventory = mesh.found, mesh.rules(confirm_within=LONG_S)
    interrupt_apply(mesh, inventory, ("host1",))
    revert = f"{STATE}/pending/revert.sh"
    killed = (
        f"mv {revert} /run/revert.sh && printf 'kill -9 $$\\n' >{revert} && systemctl start dockmesh-revert.service"
    )
    mesh.on("host1", f"{killed}; mv /run/revert.sh {revert}", check=False)
    mesh.on("host1", "systemctl is-active dockmesh-revert.timer")
    # The timer of a change may be missing after a kill. The next re-assert reverts the change then.
    mesh.on("host1", "systemctl stop dockmesh-revert.timer && systemctl start dockmesh.service")
    mesh.settle(GRACE_S)
    assert_same(mesh.states(), before)
    mesh.join()


def test_rollback_reverts_a_pending_change_at_once(mesh: Mesh) -> None:
    before, inventory = mesh.found, mesh.bridges("host1", "host3", confirm_within=LONG_S)
    interrupt_apply(mesh, inventory, ("host1", "host3"))
    done = dockmesh("rollback", inventory, "--pending", "--json").expect(0)
    assert done.outcomes == {"host1": "confirmed", "host2": "unchanged", "host3": "confirmed"}
    mesh.settle(0)
    assert_same(mesh.states(), before)
    shown = dockmesh("status", mesh.inventory(), "--json").expect(0)
    assert [row["reverted"] for row in shown.document["hosts"]] == [None] * 3, "the operator knows of this revert"
    dockmesh("plan", mesh.inventory()).expect(0)


def test_a_failing_revert_is_reported_and_can_be_given_up(mesh: Mesh) -> None:
    one = ("--limit", "host1", "--json")
    with docker_needs(mesh, "host1", "10.128.0.129"):
        interrupt_apply(mesh, mesh.bridges("host1"), ("host1",))
        failed = f"{STATE}/pending/failed"
        eventually(lambda: mesh.on("host1", f"cat {failed}", check=False) != "", 60, "a failed revert")
        shown = dockmesh("status", mesh.inventory(), *one).expect(3)
        planned = dockmesh("plan", mesh.inventory(), *one).expect(3)
        assert codes_of(planned.document["hosts"][0], "conflicts") == ["change-pending"]
        for document in (shown.document, planned.document):
            found = rows(document)["host1"]["pending"]
            assert "docker.service" in found["failed"]["error"]
            # None while the host tries again.
            assert (found["reverts_in_s"] or 0) <= 60
        attempts = found["failed"]["attempts"]
        assert attempts >= 1
        again = dockmesh("rollback", mesh.inventory(), *one).expect(3)
        assert again.codes == {"host1": "revert-failed"}
        shown = dockmesh("status", mesh.inventory(), *one).expect(3)
        assert rows(shown.document)["host1"]["pending"]["failed"]["attempts"] > attempts
        assert dockmesh("rollback", mesh.inventory(), "--keep-current", *one).expect(0).outcomes == {
            "host1": "confirmed"
        }
    mesh.settle(0, ["host1"])
    left = mesh.on("host1", "ls -d /etc/dockmesh/pending /etc/systemd/system/dockmesh-revert*", check=False)
    assert left == ""
    mesh.on("host1", "systemctl reset-failed docker.service; systemctl start docker.service; docker start web")
    dockmesh("plan", mesh.inventory(), "--limit", "host1")
    mesh.join()
    dockmesh("status", mesh.inventory()).expect(0)


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


@pytest.mark.parametrize("option", [(), ("--keep-current",)])
def test_without_a_pending_change_only_rollback_restores_a_state(mesh: Mesh, option: tuple[str, ...]) -> None:
    dockmesh("apply", mesh.rules(), "--limit", "host2").expect(0)
    after = mesh.states()
    done = dockmesh("rollback", mesh.inventory(), "--limit", "host2", "--json", *option).expect(0)
    assert done.outcomes == {"host2": "unchanged" if option else "confirmed"}
    if option:
        assert_same(mesh.states(), after)
        dockmesh("rollback", mesh.inventory(), "--limit", "host2").expect(0)
    assert_same(mesh.states(), mesh.found)
