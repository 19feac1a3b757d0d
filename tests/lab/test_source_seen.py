"""Source addresses of probes, observed by their targets without traces on the hosts."""

import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import host_view
import mesh
import pytest
from accidents import container_address, eventually, output_of, paused, temporarily
from lab_state import difference
from mesh import CommandResult, Mesh

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
UNDERLAY = {"host1": "192.168.18.128", "host2": "192.168.18.129", "host3": "192.168.18.130"}
TABLES = "nft list tables | grep -c dockmesh-status"
LEFT = "nft list tables | grep dockmesh-status; pgrep --full --list-full '^(sh -s|timeout .* read)'; true"
SOON_S = 5


@contextmanager
def repair_paused(lab: Lab) -> Iterator[None]:
    """Stop the repair timer of the hosts for the block, and repair them at its end."""
    with ExitStack() as stack:
        for host in HOSTS:
            undo = ["systemctl start dockmesh.service dockmesh.timer"]
            stack.enter_context(
                temporarily(lab, host, do=["systemctl stop dockmesh.timer dockmesh.service"], undo=undo)
            )
        yield


def sources(status: CommandResult, kind: str) -> dict[tuple[str, str], str | None]:
    """The observed source addresses by source and target."""
    probes = status.document["probes"]
    return {(each["source"], each["target"]): each["source_seen"] for each in probes if each["kind"] == kind}


def codes(status: CommandResult) -> dict[tuple[str, str], str]:
    """Why probes fail, by their hosts."""
    return {(each["source"], each["target"]): each["code"] for each in status.document["probes"] if each["code"]}


def pairs(seen: dict[str, str]) -> dict[tuple[str, str], str | None]:
    """Every pair of hosts with the source address that the targets should see."""
    return {(source, target): seen[source] for source in HOSTS for target in HOSTS if source != target}


def failing(shown: CommandResult) -> list[str]:
    return [line.removeprefix("✗ ") for line in shown.stdout.splitlines() if line.startswith("✗ ")]


def nothing_left(lab: Lab) -> bool:
    return all(output_of(lab, host, "sh", "-c", LEFT) == "" for host in HOSTS)


def test_targets_see_the_own_address_of_each_source(joined: Mesh, lab: Lab) -> None:
    containers = {host: container_address(lab, host) for host in HOSTS}
    before = host_view.read_hosts(lab, HOSTS)
    status = joined.dockmesh("status", "--json")
    assert status.status == 0
    assert sources(status, "container-container") == pairs(containers)
    assert sources(status, "host-bridge") == pairs(UNDERLAY)
    own = {(host, host): output_of(lab, host, "sh", "-c", "ip -4 -o addr show docker0").split()[3] for host in HOSTS}
    assert sources(status, "host-container") == pairs(UNDERLAY) | {
        pair: address.partition("/")[0] for pair, address in own.items()
    }
    for each in status.document["probes"]:
        assert 0 < each["rtt_min_ms"] <= each["rtt_ms"] <= each["rtt_max_ms"]
        assert each["loss"] == 0
    assert nothing_left(lab)
    assert difference(before, host_view.read_hosts(lab, HOSTS)) == ""


def test_masqueraded_containers_fail_and_the_remedy_repairs_them(joined: Mesh, lab: Lab) -> None:
    containers = {host: container_address(lab, host) for host in HOSTS}
    with repair_paused(lab):
        for host in HOSTS:
            output_of(lab, host, "nft", "delete", "chain", "ip", "dockmesh", "source")
        status, shown = joined.dockmesh("status", "--json"), joined.dockmesh("status")
        assert status.status == shown.status == 3
        assert sources(status, "container-container") == pairs(UNDERLAY)
        assert codes(status) == dict.fromkeys(pairs(UNDERLAY), "masqueraded")
        remedy = "dockmesh apply --limit 'host*'"
        (told,) = failing(shown)
        assert told.startswith("host* ")
        assert told.endswith(f": {remedy} (6 probes)")
        assert joined.dockmesh(*shlex.split(remedy)[1:], "--yes").status == 0
        mended = joined.dockmesh("status", "--json")
    assert (mended.status, sources(mended, "container-container")) == (0, pairs(containers))


def test_with_source_nat_the_target_must_see_the_address_of_the_host(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    masked = mesh.write_inventory(lab, tmp_path, {host: {} for host in HOSTS}, mesh={"source_nat": True})
    shown_by = [
        f"iptables -t nat -I POSTROUTING -s {prefix} -j ACCEPT" for prefix in ("10.128.0.0/20", "10.128.32.0/20")
    ]
    try:
        assert masked.dockmesh("apply", "--yes").status == 0
        status = masked.dockmesh("status", "--json")
        hiding = [
            temporarily(lab, host, do=[rule], undo=[rule.replace("-I", "-D")])
            for host, rule in zip(("host1", "host3"), shown_by, strict=True)
        ]
        with hiding[0], hiding[1]:
            bare, document = masked.dockmesh("status"), masked.dockmesh("status", "--json")
    finally:
        assert joined.dockmesh("apply", "--yes").status == 0
    assert (status.status, sources(status, "container-container")) == (0, pairs(UNDERLAY))
    assert bare.status == 3
    shown = [(source, target) for source, target in pairs(UNDERLAY) if source != "host2"]
    assert codes(document) == dict.fromkeys(shown, "not-masqueraded")
    for host, line in zip(("host1", "host3"), failing(bare), strict=True):
        assert line.startswith(f"{host} ")
        assert line.endswith(f": dockmesh apply --limit {host} (2 probes)")


def test_source_nat_on_the_target_is_reported_with_its_place(joined: Mesh, lab: Lab) -> None:
    rule = "iptables -t nat -I POSTROUTING -o docker0 -s 10.128.0.0/20 -j MASQUERADE"
    with temporarily(lab, "host2", do=[rule], undo=[rule.replace("-I", "-D")]):
        status, shown = joined.dockmesh("status", "--json"), joined.dockmesh("status")
    assert status.status == shown.status == 3
    assert codes(status) == {("host1", "host2"): "source"}
    assert sources(status, "container-container")["host1", "host2"] == "10.128.16.1"
    (told,) = failing(shown)
    assert told.startswith("host1 → host2 container-container: ")
    assert container_address(lab, "host1") in told
    assert told.endswith("dockmesh trace host1 host2")


def test_a_host_without_nft_reports_no_sources_and_does_not_fail(joined: Mesh, lab: Lab) -> None:
    path = output_of(lab, "host3", "sh", "-c", "command -v nft")
    with repair_paused(lab), temporarily(lab, "host3", do=[f"mv {path} /root/nft"], undo=[f"mv /root/nft {path}"]):
        status = joined.dockmesh("status", "--json")
    assert status.status == 0
    seen = sources(status, "container-container")
    assert {target for (_, target), source in seen.items() if source is None} == {"host3"}
    assert nothing_left(lab)


def test_the_next_script_removes_the_table_of_a_killed_one(joined: Mesh, lab: Lab) -> None:
    output_of(lab, "host1", "nft", "add", "table", "inet", "dockmesh-status-99999999")
    assert joined.dockmesh("status").status == 0
    assert nothing_left(lab)


def test_status_opens_two_connections_if_sshd_allows_one_channel(joined: Mesh, lab: Lab) -> None:
    again = "systemctl reload ssh"
    limited = "/etc/ssh/sshd_config.d/limited.conf"
    with temporarily(lab, "host2", do=[f"echo MaxSessions 1 >{limited}; {again}"], undo=[f"rm {limited}; {again}"]):
        status = joined.dockmesh("status", "--json")
    assert status.status == 0
    assert all(sources(status, "container-container").values())


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_status_leaves_nothing_on_the_hosts(lab: Lab, tmp_path: Path, end: signal.Signals) -> None:
    logins = {"host1": {}, "host2": {}, "host3": {"user": "admin", "become": "sudo"}}
    fleet = mesh.write_inventory(lab, tmp_path, logins)
    with paused(lab, "host2"):
        controller = subprocess.Popen(
            fleet.argv("status"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=fleet.file.parent,
            env=fleet.environment(),
        )
        try:
            for host in ("host1", "host3"):
                assert eventually(lab, host, TABLES, "1")
            controller.send_signal(end)
            assert poll(lambda: controller.poll() is not None, SOON_S)
        finally:
            controller.kill()
            controller.wait()
        for host in ("host1", "host3"):
            assert poll(lambda host=host: output_of(lab, host, "sh", "-c", LEFT) == "", SOON_S)
    assert poll(lambda: nothing_left(lab), SOON_S)
