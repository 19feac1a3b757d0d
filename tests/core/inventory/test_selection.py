"""What --limit means."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.core.inventory.selection import select
from dockmesh.core.model import Fleet, Host, Login, Settings
from dockmesh.errors import UsageError


def _host(name: str, *tags: str) -> Host:
    return Host(name, IPv4Address("10.0.0.1"), None, None, docker=False, login=Login("10.0.0.1"), tags=frozenset(tags))


FLEET = Fleet(
    Settings(),
    (_host("web2", "rack1", "web"), _host("web1", "rack2", "web"), _host("db1", "rack1"), _host("130")),
)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web1", ["web1"]),
        ("web1,web2", ["web2", "web1"]),
        ("db1, web*", ["web2", "web1", "db1"]),
        ("*", ["web2", "web1", "db1", "130"]),
        ("1?0", ["130"]),
        ("web[1-1]", ["web1"]),
        ("tag:rack1", ["web2", "db1"]),
        ("tag:rack*", ["web2", "web1", "db1"]),
        ("tag:web,db1,!tag:rack2", ["web2", "db1"]),
        ("!tag:rack2,tag:web,db1", ["web2", "db1"]),
        ("!web1", ["web2", "db1", "130"]),
        ("!web*,!130", ["db1"]),
        ("! db1,tag:rack1", ["web2"]),
    ],
)
def test_a_pattern_names_hosts_in_the_order_of_the_fleet(pattern: str, names: list[str]) -> None:
    assert [host.name for host in select(FLEET, pattern)] == names


@pytest.mark.parametrize(
    ("pattern", "code", "facts"),
    [
        ("web", "unknown-host", "'web' web2 web1"),
        ("web1,zzz", "unknown-host", "zzz"),
        ("!zzz", "unknown-host", "zzz"),
        ("tag:rak1", "unknown-tag", "rak1 rack1 rack2"),
        ("WEB1", "unknown-host", "'WEB1' web1 web2"),
        ("rack1", "unknown-host", "rack1"),
        ("", "empty-term", "tag:NAME"),
        ("web1,", "empty-term", "tag:NAME"),
        ("!", "empty-term", "tag:NAME"),
        ("tag:", "unknown-tag", "''"),
        ("web1,!web*", "no-host-left", "'web1,!web*'"),
    ],
)
def test_a_term_that_matches_nothing_is_named(pattern: str, code: str, facts: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(FLEET, pattern)
    assert caught.value.code == code
    assert missing_facts(str(caught.value), f"--limit {facts}") == []


@given(st.lists(st.sampled_from(["web1", "web*", "db1", "!db1", "!web2", "tag:rack1", "!tag:rack2"]), min_size=1))
def test_the_order_of_terms_changes_nothing(terms: list[str]) -> None:
    def selected(pattern: str) -> list[str] | str:
        try:
            return [host.name for host in select(FLEET, pattern)]
        except UsageError:
            return "none"

    assert selected(",".join(terms)) == selected(",".join(reversed(terms)))
