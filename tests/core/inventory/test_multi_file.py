"""An inventory in several files."""

from collections.abc import Sequence

import pytest
from refusals import locations, missing_facts

from dockmesh.core.allocation.prefixes import allocate, with_allocations
from dockmesh.core.inventory import fleet_of, yaml_reader
from dockmesh.core.model import Fleet
from dockmesh.errors import InventoryError, Problem

MESH = "mesh: {pool: 10.128.0.0/16, prefix_length: 20}\nconnection: {user: deploy}\n"
WEB = "hosts:\n  web1: {address: 192.0.2.1, prefix: 10.0.1.0/24}\n"
DB = "hosts:\n  # the first\n  db1: {address: 192.0.2.2, prefix: 10.0.2.0/24}\n"


def fleet(**texts: str) -> Fleet:
    documents = [yaml_reader.read(text, file=f"{name}.yml") for name, text in texts.items()]
    return fleet_of(*documents)


def problems_of(**texts: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        fleet(**texts)
    return caught.value.problems


def located(errors: Sequence[Problem]) -> list[str]:
    return [f"{each.file}:{place}" for each, place in zip(errors, locations(errors), strict=True)]


def test_hosts_of_all_files_are_one_fleet_with_the_settings_of_the_one_that_has_them() -> None:
    whole = fleet(a=WEB, b=MESH, c=DB)
    assert [host.name for host in whole.hosts] == ["web1", "db1"]
    assert {host.login.user for host in whole.hosts} == {"deploy"}
    assert str(whole.settings.pool) == "10.128.0.0/16"


def test_settings_may_stand_in_several_files_as_long_as_they_are_the_same() -> None:
    other = MESH.replace("{user: deploy}", "\n  user: 'deploy'")
    assert fleet(a=MESH + WEB, b=other + DB) == fleet(a=MESH, b=WEB, c=DB)


def test_settings_that_differ_are_named_with_both_places() -> None:
    found = problems_of(a=MESH + WEB, b="# ours\n" + MESH.replace("deploy", "root").replace("20", "21") + DB)
    assert located(found) == ["b.yml:2:1 contradiction", "b.yml:3:1 contradiction"]
    assert missing_facts(found[0].message, "mesh a.yml:1:1") == []
    assert missing_facts(found[1].message, "connection a.yml:2:1") == []


def test_a_host_in_two_files_is_named_with_both_places() -> None:
    found = problems_of(a=WEB, b=DB.replace("db1", "web1"))
    assert located(found) == ["b.yml:3:3 duplicate"]
    assert missing_facts(found[0].message, "web1 a.yml:2:3") == []


def test_each_problem_stands_at_its_place_in_its_file_and_comes_in_the_order_of_the_files() -> None:
    found = problems_of(
        b=WEB.replace("10.0.1.0/24", "10.0.1.1/24") + "  web2: {address: web2, prefix: 10.0.3.0/24}\n",
        a="mesh: {prefix_length: 7}\n" + DB.replace("192.0.2.2", "192.0.2.1").replace("10.0.2.0/24", "10.0.3.0/25"),
    )
    assert located(found) == [
        "b.yml:2:38 host-bits",
        "b.yml:3:19 missing-key",
        "a.yml:1:23 out-of-range",
        "a.yml:4:18 duplicate",
        "a.yml:4:37 overlap",
    ]
    assert missing_facts(found[3].message, "192.0.2.1 db1 web1 b.yml:2:19") == []
    assert missing_facts(found[4].message, "10.0.3.0/25 db1 10.0.3.0/24 web2 b.yml:3:33") == []


def test_a_prefix_is_written_into_the_file_its_host_stands_in() -> None:
    texts = [MESH, WEB, DB.replace(", prefix: 10.0.2.0/24", "")]
    documents = [yaml_reader.read(text, file=f"{number}.yml") for number, text in enumerate(texts)]
    whole = fleet_of(*documents, prefixes_required=False)
    edited = with_allocations(texts, documents, whole, allocate(whole, whole.hosts, file=""))
    assert edited[:2] == tuple(texts[:2])
    assert edited[2] == DB.replace("10.0.2.0/24", "10.128.0.0/20")
