"""Containers that cannot start again decide neither a change nor a revert."""

from collections.abc import Iterator
from typing import Any

import pytest
from fault_lab import RULES, Mesh, RunResult, dockmesh, eventually, running_command, until_line
from test_confirm import ALL_AT_ONCE, NEW_BRIDGE, docker_drop_in, has_new_bridge, is_pending

RUN = "docker run --detach --init --stop-timeout 1"
IMAGE = "busybox sleep infinity"
RUNTIME = "/usr/local/sbin/odd"
# `docker ps` lists the newest first: each container comes before the one that it needs.
START = f"""set -e
mkdir /srv/gone
cp -p /etc/docker/daemon.json /root/kept
sed -i '1s,{{,{{ "runtimes": {{"odd": {{"path": "{RUNTIME}"}}}}\\,,' /etc/docker/daemon.json
printf '#!/bin/sh\\nexec runc "$@"\\n' >{RUNTIME}
chmod 755 {RUNTIME}
systemctl reload docker
{RUN} --name bound --mount type=bind,source=/srv/gone,target=/data {IMAGE}
{RUN} --name alien --runtime odd {IMAGE}
{RUN} --name brief --rm {IMAGE}
{RUN} --name user --network container:brief {IMAGE}
{RUN} --name early {IMAGE}
{RUN} --name late --network container:early {IMAGE}
{RUN} --name later --pid container:late {IMAGE}
{RUN} --name last --link later:friend {IMAGE}
rmdir /srv/gone
rm {RUNTIME}"""
END = """docker rm --force bound alien brief user early late later last
docker restart --time 1 web
mv /root/kept /etc/docker/daemon.json
systemctl reload docker"""
# Another docker0 on host2.
BRIDGE = (r"^(  host2: .*prefix: ([\d.]+)\.0/20)", r"\1, bridge: \2.129/25")
NAMES = "docker ps --format '{{.Names}}' | sort"


@pytest.fixture
def broken(mesh: Mesh) -> Iterator[Mesh]:
    """Hosts with three containers that cannot start again, each for another reason, among others."""
    for host in mesh.hosts:
        mesh.on(host, START)
    yield mesh
    for host in mesh.hosts:
        mesh.on(host, END, check=False)


def assert_warned(mesh: Mesh, done: RunResult, statuses: dict[str, str]) -> None:
    """These hosts have a warning for each broken container, run all others, and wait for nothing."""
    assert done.outcomes == dict.fromkeys(mesh.hosts, "unchanged") | statuses, done.errors
    rows: list[dict[str, Any]] = done.document["outcomes"]
    for row in (row for row in rows if row["host"] in statuses):
        found = {each["key"]: each["message"] for each in row["warnings"]}
        assert set(found) == {"alien", "bound", "user"}, row
        assert {each["code"] for each in row["warnings"]} == {"container-not-started"}
        assert "/srv/gone" in found["bound"]
        assert mesh.on(row["host"], NAMES).split() == ["early", "last", "late", "later", "web"]
        assert not is_pending(mesh, row["host"])


def test_a_change_is_confirmed_with_a_warning_for_each_container(broken: Mesh) -> None:
    planned = dockmesh("plan", broken.bridges(), "--json").expect(2).document
    for host in planned["hosts"]:
        assert host["containers"]["removed"] == ["brief"]
        assert host["containers"]["not_started"] == ["user"]
        assert set(host["containers"]["restarted"]) == {"alien", "bound", "early", "last", "late", "later", "web"}
    done = dockmesh("apply", broken.bridges(), *ALL_AT_ONCE).expect(0)
    assert_warned(broken, done, dict.fromkeys(broken.hosts, "confirmed"))
    dockmesh("plan", broken.bridges()).expect(0)
    # What did not run before the rollback is not started, so there is nothing to warn of.
    back = dockmesh("rollback", broken.inventory(), *ALL_AT_ONCE).expect(0)
    assert [row["warnings"] for row in back.document["outcomes"]] == [[], [], []]
    dockmesh("plan", broken.inventory()).expect(0)


def test_a_failed_change_is_reverted_with_a_warning_for_each_container(broken: Mesh) -> None:
    """On host1 Docker starts with another docker0 than planned; host2 drops pings after its change."""
    other = "ip addr add 192.0.2.1/32 dev docker0"
    cut = "iptables -I INPUT -p icmp -s 192.168.16.0/20 -j DROP"
    moved = "ip -o addr show docker0 | grep -q {}/ && {} || {}"
    with (
        docker_drop_in(broken, "host1", _after_start(moved.format(NEW_BRIDGE["host1"], other, "true"))),
        docker_drop_in(
            broken, "host2", _after_start(moved.format(NEW_BRIDGE["host2"], cut, f"{cut.replace('-I', '-D')}; true"))
        ),
    ):
        done = dockmesh("apply", broken.bridges("host1", "host2"), *ALL_AT_ONCE).expect(3)
    assert done.codes == {"host1": "docker-failed", "host2": "probes-failed", "host3": None}, done.errors
    assert_warned(broken, done, {"host1": "reverted", "host2": "reverted"})
    dockmesh("plan", broken.inventory()).expect(0)


def _after_start(script: str) -> str:
    return f"ExecStartPost=/bin/sh -c '{script}'"


def test_a_unit_that_does_not_start_again_is_a_warning(mesh: Mesh) -> None:
    unit = "/etc/systemd/system/dependent.service"
    mesh.on(
        "host1",
        f"printf '[Unit]\\nBindsTo=docker.service\\nAfter=docker.service\\n[Service]\\n"
        f"ExecStartPre=/usr/bin/test -e /root/may-start\\nExecStart=/bin/sleep infinity\\n' >{unit}",
    )
    mesh.on("host1", "touch /root/may-start; systemctl daemon-reload; systemctl start dependent; rm /root/may-start")
    try:
        done = dockmesh("apply", mesh.bridges("host1"), "--limit", "host1", "--json").expect(0)
        (outcome,) = done.document["outcomes"]
        assert [(each["code"], each["key"]) for each in outcome["warnings"]] == [
            ("unit-not-started", "dependent.service")
        ]
        dockmesh("rollback", mesh.inventory(), "--limit", "host1").expect(0)
    finally:
        mesh.on(
            "host1",
            f"systemctl stop dependent; rm {unit}; systemctl daemon-reload; systemctl reset-failed",
            check=False,
        )


def test_a_repeated_revert_starts_no_container_that_was_stopped_since(mesh: Mesh) -> None:
    other = mesh.inventory("other", BRIDGE, (r"^mesh:$", RULES), confirm_within=600)
    with running_command("apply", other, "--limit", "host2", "--json") as run:
        until_line(run, "changing")
        eventually(lambda: is_pending(mesh, "host2"), 20, "host2 is changing")
        mesh.lab.partition("host2")
    try:
        eventually(
            lambda: mesh.on("host2", "flock -n /etc/dockmesh/lock true && echo free", check=False) == "free",
            60,
            "the change ends",
        )
        assert has_new_bridge(mesh, "host2")
        # A folder in place of this file makes each attempt fail.
        mesh.on("host2", "mv /etc/dockmesh/reassert.sh /root; mkdir /etc/dockmesh/reassert.sh")
        assert '"revert-failed"' in mesh.on("host2", "sh /etc/dockmesh/pending/revert.sh")
        assert not has_new_bridge(mesh, "host2")
        assert mesh.on("host2", NAMES) == "web"
        mesh.on("host2", "docker stop web")
        assert '"revert-failed"' in mesh.on("host2", "sh /etc/dockmesh/pending/revert.sh")
        assert mesh.on("host2", NAMES) == ""
        mesh.on("host2", "rmdir /etc/dockmesh/reassert.sh; mv /root/reassert.sh /etc/dockmesh")
        assert '"reverted"' in mesh.on("host2", "sh /etc/dockmesh/pending/revert.sh")
        assert mesh.on("host2", NAMES) == ""
    finally:
        mesh.lab.heal("host2")
        mesh.on("host2", "docker start web")
