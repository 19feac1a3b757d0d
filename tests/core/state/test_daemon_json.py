"""Edits of daemon.json set and remove dockmesh's keys and keep all others."""

import json
from ipaddress import IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import DockerNetworking, Pool

OWN = {"bip": "10.128.0.1/24"}
PLAIN = st.sampled_from([None, True, 0, -1, 10**20, 0.1, 1e300, "", "ä", "\x1b", "10.0.0.0/8"])
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.sampled_from("ab"), PLAIN, max_size=2)
FILES = st.builds(
    lambda document, indent, bom, end: bom + json.dumps(document, indent=indent) + end,
    st.dictionaries(st.sampled_from(["bip", "debug", "log-opts", "dns", "ä", ""]), VALUES),
    st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "\n", " \r\n"]),
)
TEXTS = st.none() | st.sampled_from(["", "\n", "{}", "{\n}\n"]) | FILES


@given(TEXTS)
def test_merging_twice_is_merging_once(text: str | None) -> None:
    once = daemon_json.merge(text, OWN)
    assert daemon_json.merge(once, OWN) == once


@given(TEXTS)
def test_merging_keeps_foreign_keys_values_and_order(text: str | None) -> None:
    before, after = daemon_json.load(text), daemon_json.load(daemon_json.merge(text, OWN))
    assert after == before | OWN
    assert list(after) == list(before | OWN)


@given(TEXTS)
def test_restoring_a_merged_file_returns_the_original_text(text: str | None) -> None:
    assert daemon_json.restore(daemon_json.merge(text, OWN), text) == text


@given(TEXTS)
def test_a_merged_file_is_valid_json_in_utf8(text: str | None) -> None:
    json.loads(daemon_json.merge(text, OWN).removeprefix("\ufeff").encode(), parse_constant=pytest.fail)


@given(TEXTS, st.dictionaries(st.sampled_from(["debug", "dns", "mtu"]), VALUES))
def test_restoring_keeps_foreign_changes(text: str | None, theirs: dict[str, object]) -> None:
    changed = json.dumps(daemon_json.load(daemon_json.merge(text, OWN)) | theirs)
    before = daemon_json.load(text)
    assert daemon_json.load(daemon_json.restore(changed, text)) == before | theirs


@given(st.text() | st.text(st.sampled_from('{}[]":,1e9NaInfty\\ud8 ')))
def test_any_text_is_keys_or_a_daemon_json_error(text: str) -> None:
    try:
        daemon_json.merge(text, OWN).encode()
    except daemon_json.DaemonJsonError as error:
        assert str(error).startswith("not ")  # noqa: PT017 (any other exception fails the test)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON: .* line 1 column 2"),
        ('{"a": 1,}', "not valid JSON"),
        ('{"a": 1} // mine', "not valid JSON: Extra data"),
        ("[]", "not a JSON object"),
        ('"bip"', "not a JSON object"),
        ('{"a": NaN}', "not valid JSON: NaN is not a number"),
        ('{"a": 1e999}', "not valid JSON: 1e999 is not a number"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "not valid JSON"),
    ],
)
def test_a_text_that_docker_rejects_is_an_error(text: str, message: str) -> None:
    with pytest.raises(daemon_json.DaemonJsonError, match=message):
        daemon_json.load(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, '{\n  "bip": "10.128.0.1/24"\n}\n'),
        ("", '{\n  "bip": "10.128.0.1/24"\n}\n'),
        ('{\n\t"debug": true\n}', '{\n\t"debug": true,\n\t"bip": "10.128.0.1/24"\n}\n'),
        ('{\n    "bip": "", "z": "é"\n}', '{\n    "bip": "10.128.0.1/24",\n    "z": "é"\n}\n'),
        ('\ufeff{"bip":"10.128.0.1/24"}', '\ufeff{"bip":"10.128.0.1/24"}'),
        ('{"x": "\\ud800"}', '{\n  "x": "\\ud800",\n  "bip": "10.128.0.1/24"\n}\n'),
    ],
)
def test_merging_keeps_indentation_and_byte_order_mark(before: str | None, after: str) -> None:
    assert daemon_json.merge(before, OWN) == after


def test_a_removed_file_is_not_restored() -> None:
    assert daemon_json.restore(None, '{"bip": "10.0.0.1/24"}') is None


POOL = Pool(IPv4Network("10.9.0.0/16"), 24)
POOLS = '"default-address-pools": [{"base": "10.9.0.0/16", "size": 24}]'


@pytest.mark.parametrize(
    ("text", "address", "pools", "named"),
    [
        ('{"bip": "172.17.0.1/16", "mtu": 1500}', "172.17.0.1/16", (), None),
        ('{"bip": "172.17.0.1/16", "mtu": 1400}', "172.17.0.1/16", (), '{"bip": "172.17.0.1/16", "mtu": 1500}'),
        (None, None, (), None),
        ('{"bip": "172.17.0.1/16"}', "172.17.0.1/16", (), None),
        (f'{{"bip": "172.17.0.1/16", {POOLS}}}', "172.17.0.1/16", (POOL,), None),
        ('{"bip": "10.0.0.1/24"}', "172.17.0.1/16", (), '{"bip": "172.17.0.1/16"}'),
        ('{"debug": true}', "172.17.0.1/16", (), '{"debug": true, "bip": "172.17.0.1/16"}'),
        (None, "172.17.0.1/16", (POOL,), f'{{"bip": "172.17.0.1/16", {POOLS}}}'),
        (f'{{"bip": "172.17.0.1/16", {POOLS}}}', "172.17.0.1/16", (), '{"bip": "172.17.0.1/16"}'),
        ('{"bip": 7, "default-address-pools": 7}', "172.17.0.1/16", (), '{"bip": "172.17.0.1/16"}'),
    ],
)
def test_startup_json_names_what_the_file_lacks(
    text: str | None, address: str | None, pools: tuple[Pool, ...], named: str | None
) -> None:
    startup = daemon_json.startup_json(text, DockerNetworking(IPv4Interface(address) if address else None, pools))
    assert (startup and json.loads(startup)) == (named and json.loads(named))


NETWORK_MTU = ("default-network-opts", "bridge", "com.docker.network.driver.mtu")
TABLES = st.dictionaries(
    st.sampled_from(["default-network-opts", "debug"]),
    st.dictionaries(
        st.sampled_from(["bridge", "overlay"]), st.dictionaries(st.sampled_from([NETWORK_MTU[-1], "x"]), PLAIN)
    ),
).map(json.dumps)


@given(TABLES, st.sampled_from(["1400", None]))
def test_a_nested_value_is_set_and_removed_alone(text: str, value: str | None) -> None:
    after = daemon_json.with_values(text, {NETWORK_MTU: value})
    assert daemon_json.value_at(after, NETWORK_MTU) == value
    assert daemon_json.with_values(after, {NETWORK_MTU: value}) == after
    assert daemon_json.restore(after, text, [NETWORK_MTU]) == text
    assert daemon_json.restore(daemon_json.merge(after, OWN | {"x": 1}), text, [NETWORK_MTU]) != text, "x is foreign"


def test_objects_created_for_a_value_are_removed_with_it() -> None:
    text = daemon_json.with_values('{"debug": true}', {NETWORK_MTU: "1400", ("mtu",): 1400})
    assert json.loads(text) == {
        "debug": True,
        "default-network-opts": {"bridge": {NETWORK_MTU[-1]: "1400"}},
        "mtu": 1400,
    }
    assert json.loads(daemon_json.with_values(text, {NETWORK_MTU: None, ("mtu",): None})) == {"debug": True}


@pytest.mark.parametrize("text", ['{"default-network-opts": 7}', '{"default-network-opts": {"bridge": []}}'])
def test_a_value_that_is_not_an_object_is_not_overwritten(text: str) -> None:
    assert daemon_json.value_at(text, NETWORK_MTU) is None
    assert daemon_json.with_values(text, {NETWORK_MTU: None}) == text
    with pytest.raises(daemon_json.DaemonJsonError, match="is not an object"):
        daemon_json.with_values(text, {NETWORK_MTU: "1400"})


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (1400, 1400),
        ("1400", 1400),
        (0, None),
        (-1, None),
        (None, None),
        (True, None),
        ("", None),
        (1.5, None),
        ([], None),
    ],
)
def test_an_mtu_is_a_number_or_its_text(value: object, size: int | None) -> None:
    assert daemon_json.parse_mtu(value) == size
