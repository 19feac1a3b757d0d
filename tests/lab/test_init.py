"""`init` on hosts of ~/.ssh/config and of an Ansible inventory. One has a changed docker0."""

from collections.abc import Iterator
from pathlib import Path

import labs
import pytest
import yaml
from mesh import CommandResult, Mesh

from dockmesh.lab.running import Lab

_HOSTS = ("host1", "host2", "host3")
_ODD = "172.30.7.9/22"
_ODD_JSON = f"""mkdir -p /etc/docker && printf '%s' '{{"bip": "{_ODD}"}}' >/etc/docker/daemon.json"""
_DOCKER0 = ("ip", "-o", "-4", "addr", "show", "docker0")


@pytest.fixture(scope="module")
def custom_docker0_lab() -> Iterator[Lab]:
    """Three hosts. docker0 of the second has a changed address, the others have the default."""
    with labs.running_lab("own", 3) as standing:
        standing.run("host2", ("sh", "-c", f"{_ODD_JSON} && systemctl restart docker"), check=True)
        yield standing


@pytest.fixture
def mesh_without_inventory(custom_docker0_lab: Lab, tmp_path: Path) -> Mesh:
    """A home with an SSH configuration that includes the lab's hosts, and no inventory yet."""
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    keys = custom_docker0_lab.inventory.parent
    (folder / "config").write_text(
        f"Include lab*\nUser root\nHost *\n  IdentityFile {keys}/id_ed25519\n  UserKnownHostsFile {keys}/known_hosts\n"
    )
    addresses = {host.name: host.underlay.ip for host in custom_docker0_lab.topology.hosts}
    (folder / "lab").write_text("".join(f"Host {name}\n  HostName {ip}\n" for name, ip in addresses.items()))
    return Mesh(custom_docker0_lab, tmp_path / "mesh.yml")


def run_init(mesh: Mesh, *words: str) -> CommandResult:
    inside = f"netns={mesh.lab.topology.fabric}"
    return mesh.dockmesh("init", *words, "--connection", inside, "--json")


def prefixes(mesh: Mesh) -> list[tuple[str, str | None]]:
    hosts = yaml.safe_load(mesh.file.read_text())["hosts"]
    return [(host["prefix"], host.get("bridge")) for host in hosts.values()]


def test_init_from_an_ssh_configuration_joins_and_keeps_docker0(
    mesh_without_inventory: Mesh,
) -> None:
    lab = mesh_without_inventory.lab
    ended = run_init(mesh_without_inventory, "--ssh-config", "host*")
    assert ended.status == 0, ended
    assert [each["keeps_docker0"] for each in ended.document["hosts"]] == [False, True, False]
    odd = ("172.30.4.0/22", _ODD)
    assert prefixes(mesh_without_inventory) == [("10.128.0.0/20", None), odd, ("10.128.16.0/20", None)]
    assert mesh_without_inventory.dockmesh("validate").status == 0
    planned = mesh_without_inventory.dockmesh("plan", "--json")
    assert (planned.status, planned.document["summary"]["conflicts"]) == (2, 0), planned
    applied = mesh_without_inventory.dockmesh("apply", "--yes", "--serial", "100%")
    assert applied.status == 0, applied
    assert mesh_without_inventory.dockmesh("status").status == 0
    assert _ODD in lab.run("host2", _DOCKER0, check=True).stdout

    # Joined hosts keep their prefixes in a new inventory.
    again = run_init(mesh_without_inventory, "--ssh-config", "host*", "--force")
    assert [each["keeps_docker0"] for each in again.document["hosts"]] == [True, True, True]
    assert prefixes(mesh_without_inventory) == [("10.128.0.0/20", None), odd, ("10.128.16.0/20", None)]
    assert mesh_without_inventory.dockmesh("plan").status == 0


def test_init_writes_an_unreadable_host_as_a_comment(mesh_without_inventory: Mesh) -> None:
    first, second, _ = (host.underlay.ip for host in mesh_without_inventory.lab.topology.hosts)
    (mesh_without_inventory.file.parent / "hosts.ini").write_text(
        f"[web]\none ansible_host={first}\ntwo ansible_host={second}\n[gone]\nthree ansible_host=192.168.18.250\n"
        f"[all:vars]\nansible_ssh_private_key_file={mesh_without_inventory.lab.inventory.parent}/id_ed25519\nansible_user=admin\n"
        "ansible_become=yes\n"
    )
    ended = run_init(mesh_without_inventory, "--ansible", "hosts.ini", "--timeout", "3")
    assert ended.status == 3, ended
    text = mesh_without_inventory.file.read_text()
    assert text.count("  # three:\n  #   address: 192.168.18.250\n") == 1
    reason = text.partition("  # three:\n  #   address: 192.168.18.250\n")[0].splitlines()[-1]
    assert reason.startswith("  # ")
    assert "192.168.18.250" in reason
    document = yaml.safe_load(text)
    assert document["connection"]["become"] == "sudo"
    assert {name: host["tags"] for name, host in document["hosts"].items()} == {"one": ["web"], "two": ["web"]}
    assert mesh_without_inventory.dockmesh("validate").status == 0
