"""The text of the HTML report: data, policy and size. tests/browser has the tests of its behaviour."""

import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import results
from formats import Page
from printed import figures

from dockmesh.core.results.model import HostResult, MeshResult
from dockmesh.report.html import render

LICENCE = Path(__file__).parents[2] / "templates" / "report" / "d3" / "LICENSE"
KEYS = {"kind", "family", "state", "sent", "received", "ttl", "expected", "mtu", "seen", "reason", "cause"}


def states(data: dict[str, Any]) -> Counter[tuple[str, str, str, int, str]]:
    names, forms, probes = [host["name"] for host in data["hosts"]], data["forms"], data["probes"]
    assert all(set(form) == KEYS for form in forms)
    each = zip(*(probes[at::4] for at in range(4)), strict=True)
    return Counter(
        (names[s], names[t], forms[form]["kind"], forms[form]["family"], forms[form]["state"])
        for s, t, form, _us in each
    )


@pytest.mark.parametrize(
    "result",
    [results.result(3), results.result(4, dual=True), results.result(20, cut=["host7"], silent={"host9": "is down"})],
)
def test_the_pages_data_has_the_state_of_every_probe(result: MeshResult) -> None:
    data = Page(render(result)).data
    assert states(data) == Counter((*row.key, row.state) for row in result.probes)
    assert [(host["name"], host["error"]) for host in data["hosts"]] == [(h.host, h.error) for h in result.hosts]
    assert all((form["cause"] is None) == (form["state"] == "reached") for form in data["forms"])


def test_round_trips_have_microseconds() -> None:
    result = results.result(3)
    data = Page(render(result)).data
    assert data["probes"][3::4] == [round((row.rtt_ms or 0) * 1000) for row in result.probes]


def test_the_policy_allows_only_the_pages_own_script_and_style() -> None:
    page = Page(render(results.result(3)))
    (policy,) = (attrs["content"] for _tag, attrs in page.elements if "http-equiv" in attrs)
    assert policy
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    style, _data, script = page.within
    hashes = [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (script, style)]
    assert [rules["script-src"], rules["style-src"]] == hashes
    assert (rules["default-src"], rules["img-src"], rules["base-uri"]) == ("'none'", "data:", "'none'")


def test_the_page_loads_nothing() -> None:
    page = Page(render(results.result(3)))
    loading = [
        value for _tag, attrs in page.elements for name, value in attrs.items() if name in {"src", "href", "action"}
    ]
    assert loading == ["data:,"]
    style, _data, script = page.within
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|eval)\b", script)


def test_text_from_hosts_cannot_add_elements() -> None:
    page = Page(render(results.result(2, silent={"host1": results.EVIL})))
    assert len(page.within) == 3
    assert "img" not in {tag for tag, _attrs in page.elements}
    assert "</script><script>alert(1)</script>" in page.data["hosts"][0]["error"]


def test_a_page_of_100_hosts_is_small_enough_to_send_by_mail() -> None:
    silent = {f"host{number}": f"no login {number} " * 10 for number in range(1, 100, 7)}
    for result in (results.result(100), results.result(100, cut=["host2", "host3"], silent=silent)):
        assert len(render(result).encode()) < 1_000_000


def test_the_page_includes_the_licence_of_d3() -> None:
    script = Page(render(results.result(2))).within[2]
    assert LICENCE.read_text(encoding="utf-8") in script
    assert script.count("Mike Bostock") >= 5


@pytest.mark.parametrize(
    ("result", "good", "counts"),
    [
        (results.result(3), True, {"14"}),
        (results.result(100, cut=["host7"]), False, {"29,502", "591"}),
        (results.result(3, cut=["host2"], silent={"host3": "no login"}), False, {"14", "8", "4"}),
        (MeshResult((HostResult("host1", "no login"),), ()), False, {"1"}),
        (MeshResult((), ()), True, set()),
    ],
)
def test_the_heading_has_the_result_and_the_counts(result: MeshResult, good: bool, counts: set[str]) -> None:
    page = Page(render(result))
    assert page.good is good
    assert page.verdict.startswith("✓" if good else "✗")
    assert set(figures(page.verdict)) == counts
    assert page.title.startswith("lab" if result.mesh else "mesh")
    assert set(figures(page.title)) == counts
