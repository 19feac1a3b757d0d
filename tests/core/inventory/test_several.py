"""An inventory in several files."""

import pytest

from dockmesh.core.inventory import fleet_of, yamldoc
from dockmesh.core.ipam import allocate, recorded
from dockmesh.core.model import Fleet
from dockmesh.errors import InventoryError

MESH = "mesh: {pool: 10.128.0.0/16, prefix_length: 20}\nconnection: {user: deploy}\n"
WEB = "hosts:\n  web1: {address: 192.0.2.1, prefix: 10.0.1.0/24}\n"
DB = "hosts:\n  # the first\n  db1: {address: 192.0.2.2, prefix: 10.0.2.0/24}\n"


def fleet(**texts: str) -> Fleet:
    documents = [yamldoc.read(text, file=f"{name}.yml") for name, text in texts.items()]
    return fleet_of(*documents)


def problems(**texts: str) -> list[str]:
    with pytest.raises(InventoryError) as refused:
        fleet(**texts)
    return list(map(str, refused.value.problems))


def test_hosts_of_all_files_are_one_fleet_with_the_settings_of_the_one_that_has_them() -> None:
    whole = fleet(a=WEB, b=MESH, c=DB)
    assert [host.name for host in whole.hosts] == ["web1", "db1"]
    assert {host.login.user for host in whole.hosts} == {"deploy"}
    assert str(whole.settings.pool) == "10.128.0.0/16"


def test_settings_may_stand_in_several_files_as_long_as_they_are_the_same() -> None:
    other = MESH.replace("{user: deploy}", "\n  user: 'deploy'")
    assert fleet(a=MESH + WEB, b=other + DB) == fleet(a=MESH, b=WEB, c=DB)


def test_settings_that_differ_are_named_with_both_places() -> None:
    assert problems(a=MESH + WEB, b="# ours\n" + MESH.replace("deploy", "root").replace("20", "21") + DB) == [
        "b.yml:2:1: mesh says something else in a.yml:1:1: write it in one of the files",
        "b.yml:3:1: connection says something else in a.yml:2:1: write it in one of the files",
    ]


def test_a_host_in_two_files_is_named_with_both_places() -> None:
    assert problems(a=WEB, b=DB.replace("db1", "web1")) == ["b.yml:3:3: host web1 stands in a.yml:2:3 already"]


def test_each_problem_stands_at_its_place_in_its_file_and_comes_in_the_order_of_the_files() -> None:
    assert problems(
        b=WEB.replace("10.0.1.0/24", "10.0.1.1/24") + "  web2: {address: web2, prefix: 10.0.3.0/24}\n",
        a="mesh: {prefix_length: 7}\n" + DB.replace("192.0.2.2", "192.0.2.1").replace("10.0.2.0/24", "10.0.3.0/25"),
    ) == [
        "b.yml:2:38: prefix 10.0.1.1/24 has host bits set; did you mean 10.0.1.0/24?",
        "b.yml:3:19: address 'web2' of web2 is a name: write underlay, its IPv4 address for the peers",
        "a.yml:1:23: prefix_length 7 is out of range; use 16 to 30",
        "a.yml:4:18: address 192.0.2.1 of db1 is that of web1 already (b.yml:2:19)",
        "a.yml:4:37: prefix 10.0.3.0/25 of db1 overlaps prefix 10.0.3.0/24 of web2 (b.yml:3:33)",
    ]


def test_a_prefix_is_written_into_the_file_its_host_stands_in() -> None:
    texts = [MESH, WEB, DB.replace(", prefix: 10.0.2.0/24", "")]
    documents = [yamldoc.read(text, file=f"{number}.yml") for number, text in enumerate(texts)]
    whole = fleet_of(*documents, prefixes_required=False)
    edited = recorded(texts, documents, whole, allocate(whole, whole.hosts, file=""))
    assert edited[:2] == tuple(texts[:2])
    assert edited[2] == DB.replace("10.0.2.0/24", "10.128.0.0/20")
