"""Hosts with names as addresses: a resolver has the SSH address, `underlay` is the next hop."""

from pathlib import Path

import mesh
from mesh import Mesh
from resolver import name_server, use_resolver

from dockmesh.lab.running import Lab

ADDRESSES = {"host1": "192.168.18.128", "host2": "192.168.18.129", "host3": "192.168.18.130"}


def test_addresses_may_be_names_of_a_resolver(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    hosts = {host: {"address": host, "underlay": address} for host, address in ADDRESSES.items()}
    named = use_resolver(mesh.write_inventory(lab, tmp_path, hosts))
    with name_server(lab, ADDRESSES):
        status, plan = named.dockmesh("status"), named.dockmesh("plan")
    assert status.status == 0, status
    assert "All 21 probes reached" in status.words
    assert plan.status == 0, "the route does not depend on the names on the hosts"
    assert joined.dockmesh("plan").status == 0


def test_errors_distinguish_unknown_names_from_a_dead_resolver(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    hosts = {host: {"address": host, "underlay": address} for host, address in ADDRESSES.items()}
    hosts["host3"]["address"] = "host33.example"
    named = use_resolver(mesh.write_inventory(lab, tmp_path, hosts))
    with name_server(lab, ADDRESSES):
        unknown = named.dockmesh("plan", "--json")
    silent = named.dockmesh("plan", "--json")
    assert (unknown.status, silent.status) == (3, 3)
    codes = {row["host"]: row["code"] for row in unknown.document["hosts"]}
    assert codes == {"host1": None, "host2": None, "host3": "name-not-found"}
    assert "host33.example" in unknown.document["hosts"][2]["error"]
    assert {row["code"] for row in silent.document["hosts"]} == {"resolver-failed"}
    assert joined.hosts == named.hosts
