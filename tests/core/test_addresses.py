"""Conversions of networks."""

from ipaddress import ip_network

import pytest

from dockmesh.core.addresses import address_range, short_text


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0/0", "10.128.16.0/20", "192.168.18.128/32", "255.255.255.255/32", "::/0", "fd00:10::/56", "fd00::1/128"],
)
def test_an_address_range_ends_with_the_last_address_of_its_network(text: str) -> None:
    network = ip_network(text)
    assert address_range(network) == (int(network.network_address), int(network.broadcast_address))


@pytest.mark.parametrize("text", ["10.128.16.0/20", "192.168.18.128", "fd00:10::/56", "fd00::1"])
def test_the_short_text_of_one_address_has_no_length(text: str) -> None:
    assert short_text(ip_network(text)) == text
