"""What --limit means."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.model import Fleet, Host, Login, Settings
from dockmesh.core.selection import select
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
    ("pattern", "message"),
    [
        ("web", "--limit: no host is called 'web'; did you mean 'web2' or 'web1'?"),
        ("web1,zzz", "--limit: no host is called 'zzz'"),
        ("!zzz", "--limit: no host is called 'zzz'"),
        ("tag:rak1", "--limit: no host has the tag 'rak1'; did you mean 'rack1' or 'rack2'?"),
        ("WEB1", "--limit: no host is called 'WEB1'; did you mean 'web1' or 'web2'?"),
        ("rack1", "--limit: no host is called 'rack1'"),
        ("", "--limit holds an empty term"),
        ("web1,", "--limit holds an empty term"),
        ("!", "--limit holds an empty term"),
        ("tag:", "--limit: no host has the tag ''"),
        ("web1,!web*", "--limit 'web1,!web*' leaves no host"),
    ],
)
def test_a_term_that_matches_nothing_is_named(pattern: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(FLEET, pattern)
    assert message in str(caught.value)


@given(st.lists(st.sampled_from(["web1", "web*", "db1", "!db1", "!web2", "tag:rack1", "!tag:rack2"]), min_size=1))
def test_the_order_of_terms_changes_nothing(terms: list[str]) -> None:
    def selected(pattern: str) -> list[str] | str:
        try:
            return [host.name for host in select(FLEET, pattern)]
        except UsageError:
            return "none"

    assert selected(",".join(terms)) == selected(",".join(reversed(terms)))
