"""`allocate --probe` on hosts that have networks in the pool."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host_view
import mesh
import pytest
import yaml
from accidents import partitioned, temporarily
from lab_state import difference
from mesh import Mesh

from dockmesh.lab.running import Lab

_HOSTS = ("host1", "host2", "host3")
_LAN = "ip link add lan7 type bridge && ip addr add 10.160.16.7/20 dev lan7 && ip link set lan7 up"
# Compose makes such a network by `docker compose up`, under this very name.
_COMPOSE = "docker network create --subnet 10.160.32.0/24 shop_default"
_VPN = "ip route add 10.160.64.0/22 via 192.168.18.1"


@pytest.fixture
def mesh_with_pool(fresh: Mesh, lab: Lab, tmp_path: Path) -> Iterator[Mesh]:
    """Three hosts, the first with a prefix. Each of four other blocks of the pool has a network of one host."""
    nothing: dict[str, Any] = {"prefix": None, "bridge": None}
    hosts = {"host1": {"prefix": "10.160.0.0/20", "bridge": None}, "host2": nothing, "host3": nothing}
    pool = {"pool": "10.160.0.0/12", "prefix_length": 20}
    assert fresh.hosts == _HOSTS
    with (
        temporarily(lab, "host1", do=[_LAN], undo=["ip link del lan7"]),
        temporarily(lab, "host2", do=[_COMPOSE], undo=["docker network rm shop_default"]),
        temporarily(lab, "host3", do=[_VPN], undo=["ip route del 10.160.64.0/22"]),
    ):
        yield mesh.write_inventory(lab, tmp_path, hosts, mesh=pool)


def prefixes(inventory: Path) -> list[str | None]:
    return [host.get("prefix") for host in yaml.safe_load(inventory.read_text())["hosts"].values()]


def test_drawn_prefixes_avoid_lans_docker_networks_and_routes_of_every_host(mesh_with_pool: Mesh, lab: Lab) -> None:
    before = host_view.read_hosts(lab, _HOSTS)
    blind = mesh_with_pool.dockmesh("allocate", "--json").document["allocations"]
    assert [each["prefix"] for each in blind] == ["10.160.16.0/20", "10.160.32.0/20"]
    ended = mesh_with_pool.dockmesh("allocate", "--probe", "--write", "--json")
    assert ended.status == 0, ended
    assert ended.document["written"] is True
    assert prefixes(mesh_with_pool.file) == ["10.160.0.0/20", "10.160.48.0/20", "10.160.80.0/20"]
    assert difference(before, host_view.read_hosts(lab, _HOSTS)) == ""
    planned = mesh_with_pool.dockmesh("plan", "--json")
    assert planned.status == 2, planned
    assert [host["conflicts"] for host in planned.document["hosts"]] == [[], [], []]


def test_allocating_for_one_host_reads_all(mesh_with_pool: Mesh) -> None:
    assert mesh_with_pool.dockmesh("allocate", "--probe", "--write", "--limit", "host3").status == 0
    assert prefixes(mesh_with_pool.file) == ["10.160.0.0/20", None, "10.160.48.0/20"]


def test_an_unreachable_host_leaves_the_inventory_unchanged(mesh_with_pool: Mesh, lab: Lab) -> None:
    text = mesh_with_pool.file.read_bytes()
    with partitioned(lab, "host2"):
        ended = mesh_with_pool.dockmesh("allocate", "--probe", "--write", "--timeout", "3")
    assert ended.status == 3, ended
    silent = str(lab.topology.host("host2").underlay.ip)
    assert any("host2: " in line and silent in line for line in ended.stderr.splitlines())
    assert (ended.stdout, mesh_with_pool.file.read_bytes()) == ("", text)
