"""Prefixes written into the text of an inventory, however it is laid out."""

import json
import re

import pytest
import yaml
from refusals import locations, missing_facts

from dockmesh.core.allocation.prefixes import allocate, with_allocations
from dockmesh.core.inventory import fleet_of, yaml_reader
from dockmesh.errors import InventoryError, UsageError

MESH = "mesh: {pool: 10.128.0.0/12, prefix_length: 20}\nhosts:\n"


def allocate_prefixes(text: str) -> str:
    """The text with all the prefixes it lacks."""
    document = yaml_reader.read(text, file="mesh.yml")
    fleet = fleet_of(document, prefixes_required=False)
    return with_allocations([text], [document], fleet, allocate(fleet, fleet.hosts, file="mesh.yml"))[0]


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        allocate_prefixes(text)
    return caught.value


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader])
@pytest.mark.parametrize(
    "after",
    [
        "  a:\n    address: 10.0.0.1«\n    prefix: 10.128.0.0/20»\n",
        "  a:\n    address: 10.0.0.1«\n    prefix: 10.128.0.0/20»",
        "  a:\n    address: 10.0.0.1  # SSH«\n    prefix: 10.128.0.0/20»\n\n# the end\n",
        "  a:\n    underlay: 10.0.0.1«\n    prefix: 10.128.0.0/20»\n    port: 22\n    address: a\n",
        "  a:\n   address: '10.0.0.1'«\n   prefix: 10.128.0.0/20»\n   # of the rest\n   port: 22\n...\n",
        '  a:\n    "address": "10.0.0.1"«\n    "prefix": "10.128.0.0/20"»\n',
        "  a:\n    address: >-  # SSH\n      10.0.0.1«\n    prefix: 10.128.0.0/20»\n    port: 22\n",
        "  a:\n    address: # SSH\n      10.0.0.1«\n    prefix: 10.128.0.0/20»\n  # the end\n",
        "  a: {address: 10.0.0.1«, prefix: 10.128.0.0/20»}\n",
        "  a: { address: 10.0.0.1«, prefix: 10.128.0.0/20» } # SSH",
        "  a: {\n    address: 10.0.0.1«, prefix: 10.128.0.0/20»  # SSH\n    , port: 22,\n  }\n",
        "  a: {user: é𝒳, address: a, underlay: &x !!str 10.0.0.1«, prefix: 10.128.0.0/20»,}\n",
        '  {"a":{"address":"10.0.0.1"«, "prefix": "10.128.0.0/20"»}}\n',
    ],
)
def test_a_prefix_stands_behind_the_underlay_or_else_the_address(
    after: str, loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_reader, "_LOADER", loader)
    before = re.sub("«.*?»", "", after, flags=re.DOTALL)
    assert allocate_prefixes(MESH + before) == MESH + re.sub("[«»]", "", after)


def test_json_stays_json() -> None:
    hosts = {"a": {"address": "10.0.0.1"}, "b": {"address": "b", "underlay": "10.0.0.2", "tags": ["x"]}}
    text = json.dumps({"mesh": {"pool": "10.128.0.0/12"}, "hosts": hosts}, indent=2)
    assert json.loads(allocate_prefixes(text))["hosts"]["b"] == {**hosts["b"], "prefix": "10.128.1.0/24"}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark_stay(ending: str) -> None:
    text = f"\ufeff{MESH}  a:\n    address: 10.0.0.1\n  b:\n    address: 10.0.0.2".replace("\n", ending)
    assert allocate_prefixes(text) == (
        f"\ufeff{MESH}  a:\n    address: 10.0.0.1\n    prefix: 10.128.0.0/20\n"
        "  b:\n    address: 10.0.0.2\n    prefix: 10.128.16.0/20"
    ).replace("\n", ending)


def test_what_takes_over_the_keys_of_another_host_gets_a_prefix_of_its_own() -> None:
    text = f"{MESH}  a: &a\n    address: 10.0.0.1\n    user: x\n  b: {{<<: *a, address: 10.0.0.2}}\n"
    assert allocate_prefixes(text).endswith(
        "    address: 10.0.0.1\n    prefix: 10.128.0.0/20\n    user: x\n"
        "  b: {<<: *a, address: 10.0.0.2, prefix: 10.128.16.0/20}\n"
    )


def test_a_prefix_that_another_host_would_take_over_is_not_written() -> None:
    error = refusal(f"{MESH}  a: &a {{address: 10.0.0.1}}\n  b: {{<<: *a, address: 10.0.0.2, docker: no}}\n")
    assert error.code == "cannot-insert"
    assert missing_facts(str(error), "mesh.yml prefix 10.128.0.0/20 a b") == []


def test_a_host_without_any_place_for_a_prefix_is_named_with_what_to_write() -> None:
    error = refusal(f"{MESH}  a: {{<<: {{address: 10.0.0.1}}}}\n")
    assert isinstance(error, InventoryError)
    assert locations(error.problems) == ["3:3 inherited-address"]
    assert missing_facts(error.problems[0].message, "a prefix 10.128.0.0/20") == []


def test_a_layout_that_an_insertion_would_break_is_left_alone() -> None:
    assert refusal(f"{MESH}  a:\n    ? address\n    : 10.0.0.1\n").code == "cannot-insert"
