"""Errors of many hosts, each distinct one once."""

import pytest

from dockmesh.core.results.host_errors import HostErrorGroup, group_host_errors


def test_equal_errors_are_one_group_in_the_order_of_their_hosts() -> None:
    errors = [("h2", "disk full"), ("h1", "no nft"), ("h3", "disk full")]
    assert group_host_errors(errors) == (
        HostErrorGroup(("h2", "h3"), "disk full"),
        HostErrorGroup(("h1",), "no nft"),
    )


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("192.0.2.{}", "192.0.2.{}"),
        ("192.0.2.{}:22", "192.0.2.{}"),
        ("2001:db8::{}", "2001:db8::{}"),
        ("[2001:db8::{}]:22", "2001:db8::{}"),
        ("h{}.example.com:22", "h{}.example.com"),
    ],
)
def test_errors_that_differ_in_their_own_host_are_alike(place: str, address: str) -> None:
    errors = [
        (
            f"h{at}",
            f"{place.format(at)}: unknown key SHA256:ab{at}/+. Fix: scan {address.format(at)}, apply --limit h{at}",
        )
        for at in range(1, 41)
    ]
    (group,) = group_host_errors(errors)
    assert (len(group.hosts), group.message, group.alike) == (40, errors[0][1], True)
    assert "h1" in str(group).removeprefix(group.message)


@pytest.mark.parametrize(
    "messages",
    [
        ("192.0.2.1:22: no answer", "192.0.2.2:23: no answer"),
        ("/etc/a: is missing", "/etc/b: is missing"),
        ("192.0.2.1: no route to 10.0.0.1", "192.0.2.2: no route to 10.0.0.2"),
        ("sees h11", "sees h22"),
    ],
)
def test_errors_that_differ_in_anything_else_are_several(messages: tuple[str, str]) -> None:
    groups = group_host_errors(zip(("h1", "h2"), messages, strict=True))
    assert [(group.hosts, str(group)) for group in groups] == [(("h1",), messages[0]), (("h2",), messages[1])]
