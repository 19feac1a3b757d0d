"""Saved results are read strictly, and whatever is wrong with them is said in a line."""

import json
from typing import Any

import pytest
import results
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.core.planning.plan import Plan
from dockmesh.core.results.load import load_result
from dockmesh.errors import UsageError
from dockmesh.report.json_documents import apply_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def changed_document(**keys: Any) -> str:
    """The document of two hosts, its first probe or host with other keys."""
    document = results.document(2)
    for key, value in keys.items():
        where, _, name = key.partition("_")
        (document[where][0] if where in {"probes", "hosts"} else document)[name or key] = value
    return json.dumps(document)


def test_a_result_says_what_its_document_says() -> None:
    result = results.result(3, cut=["host2"], silent={"host3": "is down"})
    assert (result.mesh, result.time) == ("lab", results.AT)
    assert [(each.host, each.error, each.docker) for each in result.hosts] == [
        ("host1", None, True),
        ("host2", None, True),
        ("host3", "is down", False),
    ]
    assert str(result.hosts[1].prefix) == "10.128.16.0/20"
    assert result.hosts[1].tags == ("rack1",)
    states = {(row.source, row.target): row.state for row in result.rows if row.kind == "host-container"}
    assert states["host1", "host1"] == "reached"
    assert states["host1", "host2"] == "failed"
    assert states["host3", "host1"] == "unmade"
    codes = {(row.source, row.target): row.code for row in result.rows if row.kind == "host-container"}
    assert codes["host1", "host1"] is None
    assert codes["host1", "host2"] == "no-reply"
    assert codes["host3", "host1"] == "not-asked"
    assert not result.ok


def test_the_status_in_a_document_of_apply_is_read_as_well() -> None:
    status = results.document(3)
    applied = apply_document(Plan(()), (), status)
    assert load_result(json.dumps(applied), file="a") == load_result(json.dumps(status), file="b")


def test_what_older_documents_lack_is_unknown_and_what_newer_ones_add_is_passed_over() -> None:
    probe = {"source": "a", "target": "a", "kind": "host-new", "reached": True, "sent": 3, "received": 2, "more": [1]}
    result = load_result(
        json.dumps({"format": "dockmesh/status/1", "probes": [probe], "hosts": [{"host": "a", "x": 1}], "y": {}}),
        file="a",
    )
    (row,) = result.rows
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
        (changed_document(hosts_host="a\n"), "hosts[0].host"),
        (changed_document(hosts_underlay="1.2.3"), "hosts[0].underlay"),
        (changed_document(time="yesterday"), "time"),
        (changed_document(probes_target="host9"), "probes host9"),
        (changed_document(hosts_host="host2"), "host2 2"),
    ],
)
def test_what_is_no_result_is_refused_with_the_place_of_what_is_wrong(text: str, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_result(text, file="some.json")
    assert caught.value.code == "not-a-result"
    message = str(caught.value)
    assert missing_facts(message, f"some.json {place}") == []
    assert message.isprintable()
    assert len(message) < 500


@given(JSON, st.sampled_from(("probes", "hosts", "mesh", "time", "format")))
def test_whatever_a_document_holds_it_is_read_or_refused(value: Any, key: str) -> None:
    document = results.document(2) | {key: value}
    try:
        result = load_result(json.dumps(document), file="a")
    except UsageError:
        return
    assert all(row.source.isprintable() for row in result.rows)


def test_texts_of_hosts_become_one_line_that_prints_and_ends() -> None:
    result = results.result(2, silent={"host1": results.EVIL, "host2": "long " * 10_000})
    told = [*result.errors.values(), *(row.why for row in result.failed)]
    assert all(text.isprintable() and len(text) <= 4100 for text in told)
    assert "</script><script>alert(1)</script>" in result.errors["host1"]
