"""The selection of pairs by name and by a random sample."""

from collections import Counter
from dataclasses import replace

import pytest
from builders import HOST1, fleet, host
from hypothesis import given
from hypothesis import strategies as st
from strategies import fleets

from dockmesh.core.model import Fleet
from dockmesh.core.probes.pairs import by_source, pairs_matching, sample_pairs
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.errors import UsageError

RACKS = fleet(
    *(
        replace(host(name, f"192.168.0.{at}", f"10.0.{at}.0/24", f"10.0.{at}.1/24"), tags=frozenset([tag]))
        for at, (name, tag) in enumerate([("web1", "front"), ("web2", "front"), ("db1", "back"), ("db2", "back")], 1)
    )
)


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("web1:db1", {("web1", "db1")}),
        ("web1:db1, db2:web2", {("web1", "db1"), ("db2", "web2")}),
        ("web*:db1", {("web1", "db1"), ("web2", "db1")}),
        ("tag:front:tag:back", {("web1", "db1"), ("web1", "db2"), ("web2", "db1"), ("web2", "db2")}),
        ("tag:front:db2", {("web1", "db2"), ("web2", "db2")}),
        ("web*:web*", {("web1", "web2")}),
    ],
)
def test_named_pairs_are_selected_in_both_directions(text: str, forward: set[tuple[str, str]]) -> None:
    assert pairs_matching(RACKS, text) == forward | {(b, a) for a, b in forward}


@pytest.mark.parametrize("text", ["", "web1", "web1:", ":db1", "web1:db1,", "web1:db1:web2", "web1:web9", "tag:x:db1"])
def test_invalid_pair_or_unknown_host_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--pairs"):
        pairs_matching(RACKS, text)


@given(fleets(), st.integers(1, 9), st.integers())
def test_sample_has_the_source_and_count_other_hosts(drawn: Fleet, count: int, seed: int) -> None:
    found = sample_pairs(drawn, drawn.hosts, count, seed)
    assert sample_pairs(drawn, drawn.hosts, count, seed) == found
    names = {each.name for each in drawn.hosts if each.prefix}
    for each in drawn.hosts:
        others = {target for source, target in found if source == each.name != target}
        assert others <= names
        assert len(others) == min(count, len(names - {each.name}))
        assert (each.name, each.name) in found
    asked = {(probe.source, probe.target) for probe in plan_probes(drawn, drawn.hosts, by_source(found))}
    assert asked <= found


def test_sample_is_uniform() -> None:
    many = fleet(*(host(f"h{at}", f"192.168.0.{at + 1}", f"10.0.{at}.0/24") for at in range(11)))
    drawn: Counter[str] = Counter()
    for seed in range(1000):
        drawn.update(target for source, target in sample_pairs(many, many.hosts[:1], 3, seed) if source != target)
    assert set(drawn) == {each.name for each in many.hosts[1:]}
    assert all(220 < count < 380 for count in drawn.values()), drawn


def test_another_seed_selects_other_pairs() -> None:
    many = fleet(HOST1, *(host(f"h{at}", f"192.168.0.{at + 1}", f"10.0.{at}.0/24") for at in range(50)))
    assert sample_pairs(many, [HOST1], 5, 1) != sample_pairs(many, [HOST1], 5, 2)
