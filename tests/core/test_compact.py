"""Short lists of hosts, and the culprits among failing pairs."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.compact import compact_names, describe_names
from dockmesh.core.results.culprits import culprits

RACKS = {
    **{f"rack1-{name}": ["one"] for name in ("web1", "web2", "web3", "db1")},
    **{f"rack2-{name}": ["two", "new"] for name in ("web1", "web2", "web3")},
    **{f"node{number}": ["new"] for number in (1, 2, 10)},
    "lone": [],
}


@pytest.mark.parametrize(
    ("names", "terms"),
    [
        ([], []),
        (["lone"], ["lone"]),
        (["rack1-web1", "rack1-web2"], ["rack1-web1", "rack1-web2"]),
        (["rack1-web1", "rack1-web2", "rack1-web3"], ["rack1-web*"]),
        (["rack1-web1", "rack1-web2", "rack1-web3", "rack1-db1", "lone"], ["rack1-*", "lone"]),
        (["rack2-web1", "rack2-web2", "rack2-web3"], ["rack2-*"]),
        (["node1", "node2", "node10", "rack2-web1", "rack2-web2", "rack2-web3"], ["tag:new"]),
        (["node1", "node2", "node10"], ["node*"]),
        (["node10", "rack1-db1", "node1"], ["rack1-db1", "node1", "node10"]),
        ([name for name in RACKS if name.startswith("rack")], ["rack*"]),
    ],
)
def test_hosts_become_a_common_glob_or_tag(names: list[str], terms: list[str]) -> None:
    assert compact_names(names, RACKS) == terms


NAMES = st.text(st.sampled_from("ab1-."), min_size=1, max_size=5)
FLEETS = st.dictionaries(NAMES, st.lists(st.sampled_from(["x", "y"]), unique=True), max_size=12)


@given(FLEETS, st.data())
def test_terms_match_exactly_the_given_hosts(fleet: dict[str, list[str]], data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(fleet)))) if fleet else set()
    terms = compact_names(names, fleet)
    matched = {
        name
        for word in terms
        for name, tags in fleet.items()
        if (word.removeprefix("tag:") in tags if word.startswith("tag:") else fnmatchcase(name, word))
    }
    assert matched == names
    assert len(terms) <= len(names)


def test_the_number_of_more_hosts_counts_hosts_and_not_terms() -> None:
    racks = {f"rack{rack}-{number}": () for rack in "abcdefghi" for number in range(10)} | {"db": ()}
    names = [name for name in racks if not name.startswith("racki")]
    assert describe_names(names, racks, most=6).endswith("and 21 more")


def test_the_host_of_most_failing_pairs_is_the_culprit() -> None:
    pairs = [("a", "x"), ("x", "b"), ("c", "x"), ("a", "d")]
    assert culprits(pairs) == ["x", "a", "d"], "a and d are equally likely"
    assert culprits(pairs, ["d"]) == ["d", "x"]
    assert culprits([]) == []


@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=2)), st.sets(st.sampled_from("ab")))
def test_every_failing_pair_has_a_culprit(pairs: list[list[str]], already: set[str]) -> None:
    found = culprits(pairs, already)
    assert all(set(pair) & set(found) for pair in pairs)
    assert len(set(found)) == len(found)
