"""daemon.json: dockmesh's keys come and go, every other stays where and as it is."""

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
def test_merging_keeps_foreign_keys_their_values_and_their_order(text: str | None) -> None:
    before, after = daemon_json.load(text), daemon_json.load(daemon_json.merge(text, OWN))
    assert after == before | OWN
    assert list(after) == list(before | OWN)


@given(TEXTS)
def test_restoring_what_was_merged_gives_the_original_to_the_byte(text: str | None) -> None:
    assert daemon_json.restore(daemon_json.merge(text, OWN), text) == text


@given(TEXTS)
def test_what_is_merged_can_be_written_as_a_file_and_read_by_docker(text: str | None) -> None:
    json.loads(daemon_json.merge(text, OWN).removeprefix("\ufeff").encode(), parse_constant=pytest.fail)


@given(TEXTS, st.dictionaries(st.sampled_from(["debug", "dns", "mtu"]), VALUES))
def test_what_others_changed_meanwhile_outlives_the_restoring(text: str | None, theirs: dict[str, object]) -> None:
    changed = json.dumps(daemon_json.load(daemon_json.merge(text, OWN)) | theirs)
    before = daemon_json.load(text)
    assert daemon_json.load(daemon_json.restore(changed, text)) == before | theirs


@given(st.text() | st.text(st.sampled_from('{}[]":,1e9NaInfty\\ud8 ')))
def test_any_text_is_keys_or_a_daemon_json_error(text: str) -> None:
    try:
        daemon_json.merge(text, OWN).encode()
    except daemon_json.DaemonJsonError as error:
        assert str(error).startswith("not ")  # noqa: PT017 (what is raised besides is what this looks for)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON: .* line 1 column 2"),
        ('{"a": 1,}', "not valid JSON"),
        ('{"a": 1} // mine', "not valid JSON: Extra data"),
        ("[]", "not a JSON object"),
        ('"bip"', "not a JSON object"),
        ('{"a": NaN}', "not valid JSON: NaN is no number"),
        ('{"a": 1e999}', "not valid JSON: 1e999 is no number"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "not valid JSON"),
    ],
)
def test_a_text_docker_would_not_take_is_refused(text: str, message: str) -> None:
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
def test_merging_takes_over_how_the_file_is_written(before: str | None, after: str) -> None:
    assert daemon_json.merge(before, OWN) == after


def test_a_file_others_removed_is_not_put_back() -> None:
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
def test_address_pools_and_mtu_are_named_where_the_file_does_not_name_just_them(
    text: str | None, address: str | None, pools: tuple[Pool, ...], named: str | None
) -> None:
    found = daemon_json.startup_json(text, DockerNetworking(IPv4Interface(address) if address else None, pools))
    assert (found and json.loads(found)) == (named and json.loads(named))


PLACE = ("default-network-opts", "bridge", "com.docker.network.driver.mtu")
TABLES = st.dictionaries(
    st.sampled_from(["default-network-opts", "debug"]),
    st.dictionaries(st.sampled_from(["bridge", "overlay"]), st.dictionaries(st.sampled_from([PLACE[-1], "x"]), PLAIN)),
).map(json.dumps)


@given(TABLES, st.sampled_from(["1400", None]))
def test_a_value_deep_in_the_file_is_put_and_taken_out_and_nothing_else_moves(text: str, value: str | None) -> None:
    after = daemon_json.with_values(text, {PLACE: value})
    assert daemon_json.value_at(after, PLACE) == value
    assert daemon_json.with_values(after, {PLACE: value}) == after
    assert daemon_json.restore(after, text, [PLACE]) == text
    assert daemon_json.restore(daemon_json.merge(after, OWN | {"x": 1}), text, [PLACE]) != text, "somebody added x"


def test_tables_made_for_a_value_go_with_it() -> None:
    text = daemon_json.with_values('{"debug": true}', {PLACE: "1400", ("mtu",): 1400})
    assert json.loads(text) == {"debug": True, "default-network-opts": {"bridge": {PLACE[-1]: "1400"}}, "mtu": 1400}
    assert json.loads(daemon_json.with_values(text, {PLACE: None, ("mtu",): None})) == {"debug": True}


@pytest.mark.parametrize("text", ['{"default-network-opts": 7}', '{"default-network-opts": {"bridge": []}}'])
def test_what_is_no_table_is_not_written_over(text: str) -> None:
    assert daemon_json.value_at(text, PLACE) is None
    assert daemon_json.with_values(text, {PLACE: None}) == text
    with pytest.raises(daemon_json.DaemonJsonError, match="is no object"):
        daemon_json.with_values(text, {PLACE: "1400"})


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
def test_an_mtu_is_a_number_or_the_text_of_one(value: object, size: int | None) -> None:
    assert daemon_json.parse_mtu(value) == size
