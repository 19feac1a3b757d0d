"""Hosts that are full, hung, hostile or changed: the error is limited and reported, and the other hosts finish."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_lab import (
    CONFIRM_WITHIN_S,
    GRACE_S,
    RULES,
    Mesh,
    RunResult,
    assert_same,
    dockmesh,
    eventually,
    rules_changed,
    running_command,
    write_file,
)

ALL_AT_ONCE = ("--serial", "100%", "--json")
BASHRC = "/root/.bashrc"
DAEMON_JSON = "/etc/docker/daemon.json"
# Control characters that a terminal or log reader could obey, except the newline.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@contextmanager
def at_login(mesh: Mesh, host: str, script: str) -> Iterator[None]:
    """Commands that the shell of root runs first. bash reads the file for sshd as well."""
    mesh.on(host, f"mv {BASHRC} /root/kept; true")
    write_file(mesh, host, BASHRC, script)
    try:
        yield
    finally:
        mesh.on(host, f"mv -f /root/kept {BASHRC} || rm -f {BASHRC}")


@contextmanager
def daemon_json(mesh: Mesh, host: str, script: str) -> Iterator[None]:
    """Change daemon.json of the host with a shell script, and restore it at the end."""
    mesh.on(host, f"cp -P --preserve=all {DAEMON_JSON} /root/daemon.json; {script}")
    try:
        yield
    finally:
        mesh.on(host, f"mv -f /root/daemon.json {DAEMON_JSON}")


@contextmanager
def full_file_system(mesh: Mesh, host: str, folder: str, free_kib: int) -> Iterator[None]:
    """Put the folder on a separate file system with only so much free space."""
    mesh.on(host, f"cp -a {folder} /root/full && mount -t tmpfs -o size=512k,mode=755 full {folder}")
    mesh.on(host, f"cp -a /root/full/. {folder} && head -c 2M /dev/zero >{folder}/ballast", check=False)
    mesh.on(host, f"truncate -s -{free_kib}K {folder}/ballast")
    try:
        yield
    finally:
        mesh.on(host, f"umount {folder}; rm -r /root/full")


@pytest.mark.parametrize("free_kib", [0, 12, 20, 28])
def test_a_full_disk_leaves_the_host_unchanged(mesh: Mesh, free_kib: int) -> None:
    """The space ends when the revert is armed, when files are written, or not at all."""
    with full_file_system(mesh, "host1", "/etc/dockmesh", free_kib):
        full = mesh.states()
        done = dockmesh("apply", mesh.rules(), "--limit", "host1", "--json")
        if done.status == 0:
            dockmesh("apply", mesh.inventory(), "--limit", "host1").expect(0)
        else:
            assert done.codes["host1"] == "no-space", done.errors
            assert done.outcomes["host1"] in {"reverted", "refused"}, done.errors
        assert_same(mesh.states(), full)
        mesh.settle(CONFIRM_WITHIN_S, ["host1"])


def test_a_full_disk_under_daemon_json_leaves_docker_unchanged(mesh: Mesh) -> None:
    with full_file_system(mesh, "host2", "/etc/docker", 0):
        done = dockmesh("apply", mesh.bridges("host2"), "--limit", "host2", "--json").expect(3)
        assert done.outcomes == {"host2": "reverted"}
        assert done.codes["host2"] == "no-space", done.errors


def test_a_read_only_etc_is_reported_and_nothing_changes(mesh: Mesh) -> None:
    before = mesh.found
    mesh.on("host3", "systemctl stop dockmesh.timer; mount --bind /etc /etc && mount -o remount,ro,bind /etc")
    try:
        done = dockmesh("apply", mesh.rules(), *ALL_AT_ONCE).expect(3)
    finally:
        mesh.on("host3", "umount /etc; systemctl start dockmesh.timer")
    assert done.outcomes == {"host1": "confirmed", "host2": "confirmed", "host3": "refused"}
    assert done.codes == {"host1": None, "host2": None, "host3": "read-only"}
    assert_same({"host3": mesh.states()["host3"]}, before)
    mesh.join()


def test_a_host_whose_sudo_rejects_us_is_unchanged_with_a_reason(mesh: Mesh) -> None:
    sudoers = "/etc/sudoers.d/zz-fault"
    as_admin = (r"user: root", "user: admin\n  become: sudo")
    dockmesh("plan", mesh.inventory("admin", as_admin)).expect(0)
    mesh.on("host1", f"echo 'admin ALL=(ALL) PASSWD: ALL' >{sudoers}; chmod 440 {sudoers}")
    try:
        inventory = mesh.inventory("admin", as_admin, (r"^mesh:$", RULES))
        done = dockmesh("apply", inventory, *ALL_AT_ONCE).expect(3)
    finally:
        mesh.on("host1", f"rm {sudoers}")
    assert done.codes == {"host1": "sudo-password", "host2": None, "host3": None}
    assert not rules_changed(mesh, "host1")
    assert (rules_changed(mesh, "host2"), rules_changed(mesh, "host3")) == (True, True)
    mesh.join()


def test_a_host_that_hangs_at_login_does_not_stop_the_others(mesh: Mesh) -> None:
    mesh.lab.pause("host1")
    try:
        done = dockmesh("apply", mesh.rules(), "--timeout", "3", *ALL_AT_ONCE).expect(3)
    finally:
        mesh.lab.heal("host1")
    assert done.outcomes == {"host1": "unreachable", "host2": "confirmed", "host3": "confirmed"}
    assert done.took_s < 25
    mesh.join()


def test_a_host_that_hangs_in_a_script_does_not_stop_the_others(mesh: Mesh) -> None:
    with at_login(mesh, "host2", "sleep 6\n"):
        done = dockmesh("apply", mesh.rules(), "--timeout", "3", *ALL_AT_ONCE).expect(3)
    assert done.outcomes == {"host1": "confirmed", "host2": "unreachable", "host3": "confirmed"}
    assert done.codes["host2"] == "timeout"
    assert "3 s" in done.errors["host2"]
    assert done.took_s < 25
    eventually(lambda: not mesh.on("host2", "pgrep -x sleep -a | grep 'sleep 6'", check=False), 20, "the sleep's end")
    mesh.join()


def test_a_host_frozen_during_its_change_reverts_after_it_thaws(mesh: Mesh) -> None:
    before = mesh.found
    with running_command("apply", mesh.rules(), "--timeout", "4", *ALL_AT_ONCE) as run:
        eventually(lambda: mesh.on("host3", "ls /etc/dockmesh/pending", check=False) != "", 30, "host3's change")
        mesh.lab.pause("host3")
        try:
            run.communicate(timeout=60)
        finally:
            mesh.lab.heal("host3")
    assert run.returncode == 3
    mesh.settle(CONFIRM_WITHIN_S + GRACE_S, ["host3"])
    after = mesh.states()
    assert_same({"host3": after["host3"]}, before)
    assert (rules_changed(mesh, "host1"), rules_changed(mesh, "host2")) == (True, True)
    mesh.join()


def test_a_changed_host_key_stops_only_that_host(mesh: Mesh, tmp_path: Path) -> None:
    text = (mesh.lab.inventory.parent / "known_hosts").read_text()
    lines = text.splitlines()
    ours, others = lines[0].split(), lines[1].split()
    known = tmp_path / "known_hosts"
    known.write_text("\n".join((" ".join((ours[0], *others[1:])), *lines[1:], "")))
    inventory = mesh.inventory("rules", (r"known_hosts: .*", f"known_hosts: {known}"), (r"^mesh:$", RULES))
    done = dockmesh("apply", inventory, *ALL_AT_ONCE).expect(3)
    assert done.codes["host1"] == "host-key-changed"
    assert done.outcomes == {"host1": "unreachable", "host2": "confirmed", "host3": "confirmed"}
    assert not rules_changed(mesh, "host1")
    mesh.join()


# The effect of a login, the code of the error, and the quoted text or figures.
HOSTILE = {
    "200 MB": ("head -c 200M /dev/zero | tr '\\0' x; exit\n", "answer-too-large", "16 MiB"),
    "200 MB of short lines": ("yes | head -c 200M; exit\n", "answer-too-large", "16 MiB"),
    "binary": ("head -c 100000 /dev/urandom; exit\n", "answer-incomplete", ""),
    "a byte a second": ("while printf x; do sleep 1; done\n", "timeout", "4 s"),
    "control codes": (
        r"printf '\033]0;owned\007\033[2J\033[31m\r\b\302\2332J[bold red]x[/]\342\200\256'; exit;",
        "answer-incomplete",
        "x[/]",
    ),
    "forged sections": ("printf '@user 0\\n 0\\n@end 0\\n'; exit\n", "answer-unreadable", ""),
    "a section's text that opens none": (
        "printf '@user 0\\nnonsense \\033[1m\\n'; exit\n",
        "answer-unreadable",
        "nonsense",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_output_is_limited_and_sanitized(mesh: Mesh, what: str) -> None:
    script, code, told = HOSTILE[what]
    with at_login(mesh, "host1", script):
        done = dockmesh("plan", mesh.rules(), "--timeout", "4").expect(3)
        told_json = dockmesh("plan", mesh.rules(), "--timeout", "4", "--json").expect(3)
    assert told in done.out, done.out
    assert not CONTROL.search(done.out + done.err + told_json.out + told_json.err)
    assert len(done.out) < 20_000
    assert done.took_s < 15
    plan = {row["host"]: row for row in told_json.document["hosts"]}
    assert plan["host1"]["code"] == code
    assert told in plan["host1"]["error"]
    assert all(plan[host]["error"] is None and plan[host]["changes"] for host in ("host2", "host3"))
    ended = "pgrep -x 'head|yes|tr' || true"
    eventually(lambda: mesh.on("host1", ended, check=False) == "", 10, "the end of what the login began")


FAKES = {
    "ip": "ip -V is not iproute2's",
    "docker": "Docker does not answer",
}


@pytest.mark.parametrize("tool", ["ip", "docker"])
def test_control_codes_and_markup_of_a_tool_are_quoted(mesh: Mesh, tool: str) -> None:
    write_file(
        mesh, "host2", f"/opt/fake/{tool}", "#!/bin/sh\nprintf '\\033[2J\\033]0;owned\\007[red]oops[/red]\\n'; exit 1\n"
    )
    mesh.on("host2", f"chmod +x /opt/fake/{tool}")
    try:
        with at_login(mesh, "host2", "PATH=/opt/fake:$PATH\n"):
            done = dockmesh("plan", mesh.rules()).expect(3)
    finally:
        mesh.on("host2", "rm -r /opt/fake")
    assert "[red]oops[/red]" in done.out
    assert not CONTROL.search(done.out + done.err)


def test_a_docker_that_starts_during_the_read_counts_as_stopped(mesh: Mesh) -> None:
    coming = "sed '1,/^ActiveState=/s/^ActiveState=active/ActiveState=activating/'"
    fake = f'#!/bin/sh\n[ "$1" = show ] || exec /bin/systemctl "$@"\n/bin/systemctl "$@" | {coming}\n'
    write_file(mesh, "host2", "/opt/fake/systemctl", fake)
    mesh.on("host2", "chmod +x /opt/fake/systemctl")
    try:
        with at_login(mesh, "host2", "PATH=/opt/fake:$PATH\n"):
            done = dockmesh("plan", mesh.rules(), "--json").expect(3)
    finally:
        mesh.on("host2", "rm -r /opt/fake")
    assert done.codes["host2"] == "docker-stopped"


SHAPES = {
    "broken": ("printf '{\"bip\": ' >{file}", "conflict"),
    "not an object": ("echo '[]' >{file}", "conflict"),
    "not UTF-8": (r"printf '\377\376{{}}' >{file}", "file-not-text"),
    "two megabytes": ("head -c 2M /dev/zero >{file}", "file-too-large"),
}


# Only short text, because the host could not be read otherwise.
NOT_JSON = ("broken", "not an object")


def conflicts_of(done: RunResult, host: str) -> list[tuple[str, str]]:
    """Code and key of each conflict of a host in the plan of an apply."""
    (row,) = (row for row in done.document["plan"]["hosts"] if row["host"] == host)
    return [(each["code"], each["key"]) for each in row["conflicts"]]


@pytest.mark.parametrize("what", SHAPES)
def test_an_invalid_daemon_json_is_a_conflict_and_unchanged(mesh: Mesh, what: str) -> None:
    script, code = SHAPES[what]
    with daemon_json(mesh, "host1", script.replace("{file}", DAEMON_JSON).replace("{{}}", "{}")):
        damaged = mesh.states()
        done = dockmesh("apply", mesh.rules(), "--limit", "host1", "--json").expect(3)
        assert done.outcomes["host1"] == "refused"
        assert done.codes["host1"] == code, done.errors
        assert "daemon.json" in done.errors["host1"]
        if what in NOT_JSON:
            assert conflicts_of(done, "host1") == [("daemon-json-invalid", DAEMON_JSON)]
        assert_same(mesh.states(), damaged)


KEPT = {
    "BOM": (
        r"""printf '\357\273\277{"bip": "10.128.16.1/24", "debug": false}\n' >FILE""",
        "head -c 3 FILE | od -An -tx1",
        "ef bb bf",
    ),
    "symlink": ("mv FILE /root/real.json; ln -s /root/real.json FILE", "readlink FILE", "/root/real.json"),
    "mode and owner": ("chmod 640 FILE; chgrp adm FILE", "stat -c '%a %U:%G' FILE", "640 root:adm"),
}


@pytest.mark.parametrize("what", KEPT)
def test_the_format_of_a_daemon_json_is_preserved(mesh: Mesh, what: str) -> None:
    script, look, expected = (text.replace("FILE", DAEMON_JSON) for text in KEPT[what])
    with daemon_json(mesh, "host2", script):
        particular = mesh.states()
        dockmesh("apply", mesh.bridges("host2"), "--limit", "host2").expect(0)
        assert mesh.on("host2", look) == expected
        assert "10.128.16.129" in mesh.on("host2", f"cat {DAEMON_JSON}")
        dockmesh("rollback", mesh.inventory(), "--limit", "host2").expect(0)
        assert mesh.on("host2", look) == expected
        assert_same(mesh.states(), particular)
    mesh.on("host2", "rm -f /root/real.json")


def test_destroy_restores_an_empty_daemon_json(mesh: Mesh) -> None:
    """Every generation of Docker must start with the restored empty file."""
    dockmesh("destroy", mesh.inventory()).expect(0)
    for host in mesh.hosts:
        mesh.on(host, f"mkdir -p /etc/docker; : >{DAEMON_JSON}")
    empty = mesh.states()
    mesh.join()
    dockmesh("destroy", mesh.inventory()).expect(0)
    assert_same(mesh.states(), empty)
    for host in mesh.hosts:
        mesh.on(host, f"rm {DAEMON_JSON}")
    mesh.join()


def test_only_root_can_read_the_files_of_dockmesh(mesh: Mesh) -> None:
    for host in mesh.hosts:
        assert mesh.on(host, "stat -c '%a %U:%G' /etc/dockmesh") == "700 root:root"
        assert mesh.on(host, "find /etc/dockmesh -not -user root -o -perm /022") == ""
        assert mesh.lab.run(host, ("su", "admin", "-s", "/bin/sh", "-c", "ls /etc/dockmesh")).returncode != 0


def test_a_foreign_route_with_precedence_is_a_conflict_and_stays(mesh: Mesh) -> None:
    route = "10.128.16.0/21 via 192.168.18.129 dev eth0 metric 50"
    mesh.on("host1", f"ip route add {route} proto static")
    try:
        done = dockmesh("apply", mesh.rules(), *ALL_AT_ONCE).expect(3)
        assert mesh.on("host1", "ip route show 10.128.16.0/21 metric 50")
    finally:
        mesh.on("host1", "ip route del 10.128.16.0/21 metric 50")
    assert done.outcomes == {"host1": "refused", "host2": "confirmed", "host3": "confirmed"}
    assert done.codes == {"host1": "conflict", "host2": None, "host3": None}
    assert conflicts_of(done, "host1") == [("foreign-route-wins", "10.128.16.0/20")]
    assert "10.128.16.0/21 via 192.168.18.129 dev eth0, proto static, metric 50" in done.errors["host1"]
    assert "ip route del 10.128.16.0/21 metric 50" in done.errors["host1"]
    mesh.join()
