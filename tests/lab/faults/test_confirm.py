"""A host keeps a change only if the mesh works over new connections. Otherwise it reverts, by itself if necessary."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fault_lab import (
    CONFIRM_WITHIN_S,
    GRACE_S,
    Mesh,
    assert_same,
    dockmesh,
    eventually,
    rules_changed,
    running_command,
    until_line,
    write_file,
)

from dockmesh.lab import lifecycle

ALL_AT_ONCE = ("--serial", "100%", "--json")
NEW_BRIDGE = {"host1": "10.128.0.129", "host2": "10.128.16.129", "host3": "10.128.32.129"}
DROP_IN = "/etc/systemd/system/docker.service.d/fault.conf"


@contextmanager
def docker_drop_in(mesh: Mesh, host: str, line: str) -> Iterator[None]:
    """A line in docker.service, in force from its next start on."""
    write_file(mesh, host, DROP_IN, f"[Service]\n{line}\n")
    mesh.on(host, "systemctl daemon-reload")
    try:
        yield
    finally:
        mesh.on(host, f"rm -f {DROP_IN}; rmdir {DROP_IN.rpartition('/')[0]}; systemctl daemon-reload")


@contextmanager
def reassertion_off(mesh: Mesh, *hosts: str) -> Iterator[None]:
    """Stop the repair timer of the hosts for the block."""
    for host in hosts:
        mesh.on(host, "systemctl stop dockmesh.timer")
    try:
        yield
    finally:
        for host in hosts:
            mesh.on(host, "systemctl start dockmesh.timer")


def is_pending(mesh: Mesh, host: str) -> bool:
    return mesh.lab.run(host, ("test", "-e", "/etc/dockmesh/pending/run")).returncode == 0


def has_new_bridge(mesh: Mesh, host: str) -> bool:
    return f" {NEW_BRIDGE[host]}/" in mesh.on(host, "ip -o -4 addr show docker0", check=False)


def test_a_host_cut_off_after_its_change_reverts_in_time(mesh: Mesh) -> None:
    before = mesh.found
    with running_command("apply", mesh.rules(), "--timeout", "5", *ALL_AT_ONCE) as run:
        until_line(run, "changing")
        mesh.lab.partition("host1")
        cut = time.monotonic()
        try:
            mesh.settle(CONFIRM_WITHIN_S + GRACE_S, ["host1"])
            reverted_s = time.monotonic() - cut
            out, _err = run.communicate(timeout=60)
        finally:
            mesh.lab.heal("host1")
    after = mesh.states()
    outcomes = {row["host"]: row["status"] for row in json.loads(out)["outcomes"]}
    assert run.returncode == 3
    assert outcomes == {"host1": "unreachable", "host2": "confirmed", "host3": "confirmed"}
    assert_same({"host1": after["host1"]}, before)
    assert after["host2"] != before["host2"]
    assert reverted_s <= CONFIRM_WITHIN_S + GRACE_S
    mesh.join()


def test_a_host_cut_off_during_a_restart_ends_with_the_timeout(mesh: Mesh) -> None:
    before = mesh.found
    with running_command("apply", mesh.bridges("host1"), "--timeout", "6", "--limit", "host1", "--json") as run:
        eventually(lambda: is_pending(mesh, "host1"), 20, "host1 is changing")
        mesh.lab.partition("host1")
        cut = time.monotonic()
        try:
            out, _err = run.communicate(timeout=60)
            given_up_s = time.monotonic() - cut
            mesh.settle(CONFIRM_WITHIN_S + GRACE_S + 30, ["host1"])
        finally:
            mesh.lab.heal("host1")
    (outcome,) = json.loads(out)["outcomes"]
    assert outcome["status"] == "unreachable"
    assert outcome["code"] in {"session-lost", "timeout"}
    assert f"{CONFIRM_WITHIN_S} s" in outcome["error"]
    assert "--limit host1" in outcome["error"]
    assert given_up_s < 20, "before the 180 s that a restart of Docker may take"
    assert_same({"host1": mesh.states()["host1"]}, before)
    mesh.join()


CUTS = {
    "new connections": "-m conntrack --ctstate NEW ",
    "every connection": "",
}


@pytest.mark.parametrize(("host", "what"), [("host1", "new connections"), ("host3", "every connection")])
def test_a_change_that_cuts_ssh_is_reverted(mesh: Mesh, host: str, what: str) -> None:
    """The controller reverts over its open connection, or the host reverts by itself."""
    rule = f"INPUT -p tcp --dport 22 {CUTS[what]}-j DROP"
    cut = f"ip -o addr show docker0 | grep -q {NEW_BRIDGE[host]} && iptables -I {rule} || iptables -D {rule}; true"
    before = mesh.found
    with docker_drop_in(mesh, host, f"ExecStartPost=/bin/sh -c '{cut}'"):
        done = dockmesh("apply", mesh.bridges(host), "--limit", host, "--timeout", "5", "--json").expect(3)
        mesh.settle(CONFIRM_WITHIN_S + GRACE_S + 15, [host])
    # The controller learns of the host's own revert if its connection recovers.
    assert done.outcomes[host] == "reverted" or (what == "every connection" and done.outcomes[host] == "unreachable")
    assert done.took_s < 60
    assert_same(mesh.states(), before)
    dockmesh("status", mesh.inventory(), "--limit", host).expect(0)


def test_if_docker_does_not_start_the_old_state_is_restored(mesh: Mesh) -> None:
    with ExitStack() as drop_ins:
        for host, address in NEW_BRIDGE.items():
            refuses = f"ExecStartPre=/bin/sh -c '! grep -q {address} /etc/docker/daemon.json'"
            drop_ins.enter_context(docker_drop_in(mesh, host, refuses))
        done = dockmesh("apply", mesh.bridges(), *ALL_AT_ONCE).expect(3)
    assert set(done.outcomes.values()) == {"reverted"}
    assert set(done.codes.values()) == {"docker-failed"}, done.errors
    assert all("docker.service" in error for error in done.errors.values()), done.errors


def test_dockerd_validate_rejects_a_bad_key_before_the_restart(mesh: Mesh) -> None:
    """host2 and host3 have `dockerd --validate`. The key was in the file, but the running Docker has not read it."""
    starts = {host: mesh.on(host, "systemctl show docker -p ExecMainStartTimestampMonotonic") for host in mesh.hosts}
    hosts = ("host2", "host3")
    for host in hosts:
        mesh.on(host, "cp -p /etc/docker/daemon.json /root/kept")
        mesh.on(host, "sed -i 's/{/{ \"no-such-key\": 1,/' /etc/docker/daemon.json")
    done = dockmesh("apply", mesh.bridges("host2", "host3"), "--limit", "host2,host3", *ALL_AT_ONCE).expect(3)
    for host in hosts:
        mesh.on(host, "mv /root/kept /etc/docker/daemon.json")
        assert done.codes[host] == "docker-failed", done.errors
        assert "no-such-key" in done.errors[host]
        assert mesh.on(host, "systemctl show docker -p ExecMainStartTimestampMonotonic") == starts[host]


def test_a_reboot_with_an_armed_revert_restores_the_old_state(mesh: Mesh) -> None:
    before = mesh.found
    with running_command("apply", mesh.bridges("host2", confirm_within=600), "--limit", "host2", "--json") as run:
        until_line(run, "changing")
    assert is_pending(mesh, "host2")
    lifecycle.reboot(mesh.lab.topology.name, "host2")
    mesh.settle(40, ["host2"])
    assert " reboot " in mesh.on("host2", "cat /etc/dockmesh/reverted")
    mesh.on("host2", "docker start web")
    eventually(lambda: mesh.states() == before, 35, "the old state after the reboot")


def test_a_confirmation_during_a_revert_is_rejected(mesh: Mesh) -> None:
    with running_command("apply", mesh.bridges("host1"), "--limit", "host1", "--json") as run:
        until_line(run, "changing")
        # Start the unit of the timer early. The probes before the confirmation take a moment.
        mesh.on("host1", "systemctl start --no-block dockmesh-revert.service")
        out, _err = run.communicate(timeout=90)
    assert run.returncode == 3
    outcome = json.loads(out)["outcomes"][0]
    assert outcome["status"] == "reverted", outcome
    assert outcome["code"] not in {None, "locked"}, outcome
    mesh.settle(30, ["host1"])


def test_a_host_can_change_again_after_a_failed_revert(mesh: Mesh) -> None:
    """Systemd remembers a failed unit without its file. A change must be armed nevertheless."""
    unit = "/etc/systemd/system/dockmesh-revert.service"
    mesh.on("host2", f"printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >{unit}")
    mesh.on("host2", f"systemctl start dockmesh-revert.service; rm {unit}", check=False)
    dockmesh("apply", mesh.rules(), "--limit", "host2").expect(0)
    dockmesh("rollback", mesh.inventory(), "--limit", "host2").expect(0)
    assert mesh.on("host2", "systemctl list-units --failed --no-legend 'dockmesh*'") == ""


def test_a_host_that_breaks_the_mesh_reverts_and_the_others_confirm(mesh: Mesh) -> None:
    before = mesh.found
    rule = "INPUT -p icmp -s 192.168.18.128,192.168.18.130 -j DROP"
    cut = f"ip -o addr show docker0 | grep -q {NEW_BRIDGE['host2']} && iptables -I {rule} || iptables -D {rule}; true"
    cut = cut.replace("192.168.18.128,192.168.18.130", "192.168.16.0/20")
    with docker_drop_in(mesh, "host2", f"ExecStartPost=/bin/sh -c '{cut}'"):
        done = dockmesh("apply", mesh.bridges(confirm_within=300), *ALL_AT_ONCE).expect(3)
    assert done.outcomes == {"host1": "confirmed", "host2": "reverted", "host3": "confirmed"}
    assert done.codes == {"host1": None, "host2": "probes-failed", "host3": None}
    assert_same({"host2": mesh.states()["host2"]}, before)
    mesh.join()


def test_no_confirm_keeps_a_change_that_breaks_the_mesh(mesh: Mesh) -> None:
    mesh.on("host3", "iptables -I INPUT -p icmp -j DROP")
    try:
        done = dockmesh("apply", mesh.rules(confirm_within=300), "--limit", "host3", "--no-confirm", "--json").expect(3)
    finally:
        mesh.on("host3", "iptables -D INPUT -p icmp -j DROP")
    assert done.outcomes == {"host3": "confirmed"}
    assert rules_changed(mesh, "host3")
    dockmesh("rollback", mesh.inventory(), "--limit", "host3").expect(0)


def test_the_second_controller_learns_who_holds_the_host(mesh: Mesh) -> None:
    with running_command("apply", mesh.bridges("host1", confirm_within=60), "--limit", "host1", "--json") as run:
        eventually(lambda: is_pending(mesh, "host1"), 20, "the first controller's change")
        run.send_signal(signal.SIGSTOP)
        second = dockmesh("apply", mesh.rules(), "--limit", "host1", "--json").expect(3)
        run.send_signal(signal.SIGCONT)
        first, _err = run.communicate(timeout=60)
    assert second.outcomes == {"host1": "refused"}
    assert second.codes["host1"] in {"conflict", "change-pending", "locked"}
    assert "root@" in second.errors["host1"]
    assert " since 20" in second.errors["host1"]
    assert run.returncode == 0, first
    assert has_new_bridge(mesh, "host1")
    mesh.join()


def test_one_of_two_simultaneous_controllers_wins(mesh: Mesh) -> None:
    with (
        running_command("apply", mesh.bridges("host2"), "--limit", "host2", "--json") as one,
        running_command("apply", mesh.rules(), "--limit", "host2", "--json") as two,
    ):
        said = [json.loads(run.communicate(timeout=90)[0])["outcomes"][0] for run in (one, two)]
    assert sorted(row["status"] for row in said) == ["confirmed", "refused"]
    assert sorted((one.returncode, two.returncode)) == [0, 3]
    mesh.join()


def test_a_change_waits_for_a_slow_re_assert(mesh: Mesh) -> None:
    drop_in = "/run/systemd/system/dockmesh.service.d/slow.conf"
    write_file(mesh, "host1", "/run/slow/ip", '#!/bin/sh\nsleep 10\nexec /usr/sbin/ip "$@"\n')
    write_file(mesh, "host1", drop_in, "[Service]\nEnvironment=PATH=/run/slow:/usr/sbin:/usr/bin:/sbin:/bin\n")
    mesh.on("host1", "chmod +x /run/slow/ip; systemctl daemon-reload; systemctl start --no-block dockmesh.service")
    try:
        eventually(lambda: mesh.on("host1", "pgrep -f [/]run/slow/ip", check=False) != "", 10, "the slow re-assert")
        done = dockmesh("apply", mesh.rules(), "--limit", "host1", "--no-confirm", "--json").expect(0)
    finally:
        mesh.on("host1", f"rm -r /run/slow {drop_in.rpartition('/')[0]}; systemctl daemon-reload")
    assert done.outcomes == {"host1": "confirmed"}
    assert done.took_s > 5
    dockmesh("rollback", mesh.inventory(), "--limit", "host1").expect(0)


def test_a_host_that_changed_after_its_plan_is_refused(mesh: Mesh) -> None:
    """host1 restarts Docker first. Meanwhile host2 changes."""
    before = mesh.found
    with running_command(
        "apply", mesh.bridges("host1", "host2"), "--limit", "host1,host2", "--json", "--max-fail", "1"
    ) as run:
        until_line(run, "reading")
        mesh.on("host2", "ip route add 198.51.100.0/24 via 192.168.18.128 metric 9 proto static")
        out, _err = run.communicate(timeout=90)
    rows = {row["host"]: row for row in json.loads(out)["outcomes"]}
    mesh.on("host2", "ip route del 198.51.100.0/24 metric 9")
    assert run.returncode == 3
    assert rows["host2"]["status"] == "refused"
    assert rows["host2"]["code"] == "stale-plan"
    assert_same({"host2": mesh.states()["host2"]}, before)
    mesh.join()


def test_a_saved_plan_is_applied_only_if_nothing_changed(mesh: Mesh, tmp_path: Path) -> None:
    before = mesh.found
    inventory, file = mesh.rules(), tmp_path / "plan.json"
    dockmesh("plan", inventory, "--out", str(file)).expect(2)
    text = inventory.read_text()

    inventory.write_text(f"{text}# one line more\n")
    assert ("inventory-changed", None) in dockmesh("apply", inventory, str(file), "--json").expect(3).problems
    inventory.write_text(text)

    document = json.loads(file.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document | {"templates": "of another version"}))
    assert ("templates-changed", None) in dockmesh("apply", inventory, str(other), "--json").expect(3).problems

    with reassertion_off(mesh, "host1"):
        mesh.on("host1", "ip route del 10.128.16.0/20 metric 4201 proto 201")
        stale = dockmesh("apply", inventory, str(file), "--json").expect(3)
        mesh.on("host1", "ip route add 10.128.16.0/20 via 192.168.18.129 dev eth0 metric 4201 proto 201")
    assert ("host-changed", "host1") in stale.problems
    assert_same(mesh.states(), before)

    dockmesh("apply", inventory, str(file), *ALL_AT_ONCE).expect(0)
    again = dockmesh("apply", inventory, str(file), "--json").expect(3).problems
    assert {code for code, _host in again} == {"already-applied"}
    mesh.join()


@pytest.mark.parametrize("text", ["", "[]", '{"format": "dockmesh/plan/1", "hosts": "rm -rf /"}'])
def test_a_file_without_a_saved_plan_changes_nothing(mesh: Mesh, tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    assert dockmesh("apply", mesh.rules(), str(file)).status in {3, 4}


def test_rollback_restores_the_previous_state_twice_and_after_a_reboot(mesh: Mesh) -> None:
    before = mesh.found
    dockmesh("apply", mesh.rules(), *ALL_AT_ONCE).expect(0)
    lifecycle.reboot(mesh.lab.topology.name, "host3")
    mesh.on("host3", "docker start web")
    eventually(lambda: rules_changed(mesh, "host3"), 35, "the new rules after the reboot")
    dockmesh("rollback", mesh.inventory(), "--json").expect(0)
    assert_same(mesh.states(), before)
    again = dockmesh("rollback", mesh.inventory(), "--json").expect(0)
    assert set(again.outcomes.values()) == {"unchanged"}


def test_a_plan_after_apply_is_empty_and_a_revert_leaves_no_trace(mesh: Mesh) -> None:
    """On real hosts: plan(apply(x)) is empty; revert(apply(x)) = x. By the host itself: the tests above."""
    before = mesh.found
    dockmesh("apply", mesh.bridges(), *ALL_AT_ONCE).expect(0)
    dockmesh("plan", mesh.bridges()).expect(0)
    dockmesh("rollback", mesh.inventory()).expect(0)
    assert_same(mesh.states(), before)
