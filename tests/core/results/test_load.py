"""The strict parser of saved results."""

import json
from datetime import UTC
from typing import Any

import pytest
import results
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.core.planning.plan import Plan
from dockmesh.core.results.load import load_result
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult, host_result
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure, UsageError
from dockmesh.report.json.apply import apply_document
from dockmesh.report.json.status import status_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def changed_document(**keys: Any) -> str:
    """The document of two hosts, with changed keys in its first probe or host."""
    document = results.document(2)
    for key, value in keys.items():
        where, _, name = key.partition("_")
        (document[where][0] if where in {"probes", "hosts"} else document)[name or key] = value
    return json.dumps(document)


def test_loaded_result_has_the_values_of_its_document() -> None:
    result = results.result(3, cut=["host2"], silent={"host3": "is down"})
    assert (result.mesh, result.time) == ("lab", results.AT)
    assert [(each.host, each.error, each.docker) for each in result.hosts] == [
        ("host1", None, True),
        ("host2", None, True),
        ("host3", "is down", False),
    ]
    assert str(result.hosts[1].prefix) == "10.128.16.0/20"
    assert result.hosts[1].tags == ("rack1",)
    states = {(row.source, row.target): row.state for row in result.probes if row.kind == "host-container"}
    assert states["host1", "host1"] == "reached"
    assert states["host1", "host2"] == "failed"
    assert states["host3", "host1"] == "unmade"
    codes = {(row.source, row.target): row.code for row in result.probes if row.kind == "host-container"}
    assert codes["host1", "host1"] is None
    assert codes["host1", "host2"] == "no-reply"
    assert codes["host3", "host1"] == "not-asked"
    assert not result.ok


def test_status_in_an_apply_document_is_loaded() -> None:
    result = results.result(3)
    assert load_result(json.dumps(apply_document(Plan(()), (), result)), file="a") == result


def test_missing_keys_are_unknown_and_new_keys_are_ignored() -> None:
    probe = {"source": "a", "target": "a", "kind": "host-new", "reached": True, "sent": 3, "received": 2, "more": [1]}
    result = load_result(
        json.dumps({"format": "dockmesh/status/1", "probes": [probe], "hosts": [{"host": "a", "x": 1}], "y": {}}),
        file="a",
    )
    (row,) = result.probes
    assert (row.ok, row.ttl, row.rtt_ms, row.code, row.reason) == (True, None, None, None, None)
    assert row.loss == pytest.approx(1 / 3)
    assert (result.mesh, result.time, result.hosts[0].underlay) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "JSON"),
        ("[" * 100_000, "JSON"),
        ("[]", "object"),
        ("{}", "format"),
        ('{"format": "\\u001b[31mother"}', "format"),
        ('{"format": "dockmesh/status/1"}', "probes"),
        ('{"format": "dockmesh/apply/1", "status": null}', "status"),
        (changed_document(probes_sent="3"), "probes[0].sent"),
        (changed_document(probes_sent=-1), "probes[0].sent"),
        (changed_document(probes_rtt_ms=float("nan")), "probes[0].rtt_ms"),
        (changed_document(probes_kind="<b>"), "probes[0].kind"),
        (changed_document(probes_ttl=256), "probes[0].ttl"),
        (changed_document(probes_code="No Reply"), "probes[0].code"),
        (changed_document(probes_code="x" * 41), "probes[0].code"),
        (changed_document(probes_code=""), "probes[0].code"),
        (changed_document(probes_about="<b>"), "probes[0].about"),
        (changed_document(probes_source_seen="host1"), "probes[0].source_seen"),
        (changed_document(probes_source_seen="fe80::1%\x1b[31m"), "probes[0].source_seen"),
        (changed_document(partial=1), "partial"),
        (changed_document(hosts_host="a\n"), "hosts[0].host"),
        (changed_document(hosts_underlay="1.2.3"), "hosts[0].underlay"),
        (changed_document(time="yesterday"), "time"),
        (changed_document(probes_target="host9"), "probes host9"),
        (changed_document(hosts_host="host2"), "host2 2"),
    ],
)
def test_invalid_document_is_rejected_with_the_position(text: str, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_result(text, file="some.json")
    assert caught.value.code == "not-a-result"
    message = str(caught.value)
    assert missing_facts(message, f"some.json {place}") == []
    assert message.isprintable()
    assert len(message) < 500


@given(JSON, st.sampled_from(("probes", "hosts", "mesh", "time", "format")))
def test_any_document_is_loaded_or_rejected(value: Any, key: str) -> None:
    document = results.document(2) | {key: value}
    try:
        result = load_result(json.dumps(document), file="a")
    except UsageError:
        return
    assert all(row.source.isprintable() for row in result.probes)


def test_texts_of_hosts_become_one_printable_line_of_limited_length() -> None:
    result = results.result(2, silent={"host1": results.EVIL, "host2": "long " * 10_000})
    texts = [*map(str, result.errors.values()), *(row.why for row in result.failed)]
    assert all(text.isprintable() and len(text) <= 4100 for text in texts)
    assert "</script><script>alert(1)</script>" in str(result.errors["host1"])


def loaded(result: MeshResult) -> MeshResult:
    return load_result(json.dumps(status_document(result)), file="a")


NAMES = ("host1", "host2", "host3")
MS = st.none() | st.floats(0, 1e9)
TEXT = st.text(max_size=20)
FAILURES = st.builds(Failure, st.sampled_from(FailureCode), TEXT, st.none() | st.sampled_from(NAMES))
PROBES = st.builds(
    lambda probe, failure: probe.failed(failure) if failure else probe,
    st.builds(
        ProbeResult,
        source=st.sampled_from(NAMES),
        target=st.sampled_from(NAMES),
        kind=st.sampled_from(("host-bridge", "host-container", "container-container", "host-new")),
        sent=st.integers(0, 3),
        received=st.integers(0, 3),
        ttl=st.none() | st.integers(0, 255),
        expected_ttl=st.none() | st.integers(0, 255),
        rtt_ms=MS,
        rtt_min_ms=MS,
        rtt_max_ms=MS,
        mtu_ok=st.none() | st.booleans(),
        source_seen=st.none() | st.ip_addresses(),
        family=st.sampled_from((4, 6)),
    ),
    st.none() | FAILURES,
)
FLEETS = st.builds(results.fleet, st.integers(3, 5), dual=st.booleans())


@st.composite
def mesh_results(draw: st.DrawFn) -> MeshResult:
    among = draw(FLEETS)
    failures = st.none() | st.builds(HostFailure, st.sampled_from(HostErrorCode), TEXT)
    return MeshResult(
        tuple(host_result(host, draw(failures)) for host in among.hosts),
        tuple(draw(st.lists(PROBES, max_size=5))),
        draw(st.none() | st.just("lab")),
        draw(st.none() | st.datetimes(timezones=st.just(UTC))),
        draw(st.booleans()),
    )


@given(mesh_results())
def test_written_and_loaded_result_is_equal(result: MeshResult) -> None:
    assert loaded(result) == result


def test_healthy_and_broken_meshes_survive_a_round_trip() -> None:
    for result in (results.result(3, dual=True), results.result(4, cut=["host2"], silent={"host3": results.EVIL})):
        assert loaded(result) == result
        assert loaded(result).failed == result.failed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_result_is_loaded_in_every_json_encoding(encoding: str) -> None:
    result = results.result(2, cut=["host2"])
    text = json.dumps(status_document(result), ensure_ascii=False)
    assert load_result(text.encode(encoding), file="a") == result


def test_lone_surrogates_in_host_texts_can_be_loaded() -> None:
    result = load_result(changed_document(hosts_error="\ud800 is down"), file="a")
    assert str(result.errors["host1"]).endswith(" is down")
    assert str(result.errors["host1"]).isprintable()
