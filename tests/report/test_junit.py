"""The JUnit report: valid by the schema, with a case per pair."""

import pytest
import results
from formats import cases, junit
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult
from dockmesh.report.junit import render

TEXT = st.text(max_size=20).map(lambda text: "".join(c for c in text if c.isprintable()))


@pytest.mark.parametrize("count", [1, 3, 20])
def test_healthy_mesh_has_a_passed_case_per_pair_and_host(count: int) -> None:
    result = results.result(count)
    root = junit(render(result))
    assert len(cases(root)) == len(result.pairs) + count
    assert not [*root.iter("failure"), *root.iter("error")]
    assert [suite.attrib["name"] for suite in root][:2] == ["hosts", "from host1"]
    assert {suite.attrib["timestamp"] for suite in root} == {"2026-01-02T03:04:05"}


def test_failed_pair_has_a_reason_per_probe() -> None:
    found = cases(junit(render(results.result(3, cut=["host2"], cause="host2 has not joined: dockmesh apply"))))
    assert {name for name, case in found.items() if len(case)} == {
        *("host1 to host2", "host2 to host1", "host2 to host3", "host3 to host2"),
    }
    (failure,) = found["host1 to host2"]
    assert failure.tag == "failure"
    assert failure.attrib["message"] == "host2 has not joined: dockmesh apply"
    assert failure.text == "\n".join(
        f"{kind}: host2 has not joined: dockmesh apply"
        for kind in ("host-bridge", "host-container", "container-container")
    )
    assert float(found["host1 to host3"].attrib["time"]) > 0
    assert "time" not in found["host1 to host2"].attrib


def test_unmade_probes_are_errors_with_the_error_of_the_host() -> None:
    root = junit(render(results.result(3, silent={"host3": "no login: fix the key"})))
    found = cases(root)
    assert found["host3 can be asked"][0].attrib["message"] == "no login: fix the key"
    assert found["host3 to host1"][0].tag == "error"
    (failure,) = found["host1 to host3"]
    assert failure.tag == "failure"
    assert (failure.text or "").splitlines() == ["host-bridge: no reply", "host3: no login: fix the key"]
    for suite in root:
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        assert int(suite.attrib["errors"]) == len(list(suite.iter("error")))
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))


def test_host_texts_cannot_inject_xml() -> None:
    root = junit(render(results.result(2, silent={"host1": results.EVIL})))
    assert {element.tag for element in root.iter()} <= {"testsuites", "testsuite", "testcase", "error", "failure"}
    assert "</script><script>alert(1)</script>" in cases(root)["host1 can be asked"][0].attrib["message"]


@given(TEXT, TEXT)
def test_any_printable_text_makes_valid_xml(reason: str, error: str) -> None:
    row = ProbeResult("a", "a", "host-bridge", 3, 0, reason=reason)
    found = cases(junit(render(MeshResult((HostResult("a", error),), (row,)))))
    assert found["a to a"][0].attrib["message"] == row.why
    assert not reason or row.why == reason
    assert found["a can be asked"][0].text or not error
