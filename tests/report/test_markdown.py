"""Results as Markdown, read back by a CommonMark parser with tables."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import results
from formats import shown, tokens
from hypothesis import given
from hypothesis import strategies as st
from markdown_it.token import Token

from dockmesh.core.results.model import Result
from dockmesh.report.markdown import render, text


def inline(markdown: str) -> Iterator[Token]:
    for token in tokens(markdown):
        yield from token.children or ()


def table(markdown: str) -> list[list[str]]:
    rows: list[list[str]] = []
    found = tokens(markdown)
    for token, after in pairwise(found):
        if token.type == "tr_open":
            rows.append([])
        if token.type in {"th_open", "td_open"}:
            rows[-1].append("".join(child.content for child in after.children or ()))
    return rows


def test_a_small_mesh_is_a_heading_and_a_table_of_pairs() -> None:
    markdown = render(results.result(3))
    assert shown(markdown).splitlines()[:2] == ["✅ lab: all 14 probes reached", "2026-01-02 03:04:05 UTC"]
    rows = table(markdown)
    assert rows[0] == ["from \\ to", "host1", "host2", "host3"]
    assert [row[0] for row in rows[1:]] == ["host1", "host2", "host3"]
    assert rows[1][2].startswith("✓64 ✓63 ✓62 ")
    assert rows[3][3] == "-"


def test_each_family_has_a_table_and_failures_name_ipv6() -> None:
    lines = shown(render(results.result(3, dual=True))).splitlines()
    assert [line for line in lines if line.startswith("Over")] == ["Over IPv4:", "Over IPv6:"]
    rows = table(render(results.result(3, dual=True)))
    assert [row[0] for row in rows] == ["from \\ to", "host1", "host2", "host3"] * 2
    assert rows[2][1].startswith("✓64 ✓63 ✓62 ")
    assert rows[6] == ["host2", "-", "✓64 0.3 ms", "✓64 0.5 ms"]
    markdown = render(results.result(3, dual=True, silent={"host3": "no login"}))
    assert "host2 → host3 (host-bridge, host-bridge (IPv6))" in shown(markdown)


def test_what_failed_is_a_point_per_cause_with_its_pairs() -> None:
    markdown = render(results.result(3, cut=["host2"], silent={"host3": "no login"}))
    lines = shown(markdown).splitlines()
    assert lines[0] == "❌ lab: of 14 probes, 8 failed and 4 could not be made; 1 host could not be asked"
    assert lines[2] == "host3: no login (4 probes not made)"
    assert lines[3].startswith("no reply (8 probes): host1 → host2 (host-bridge, host-container, container-container)")
    assert [token.type for token in tokens(markdown)].count("list_item_open") == 2
    assert table(markdown)[1] == ["host1", "✓64 0.1 ms", "❌ ❌ ❌", "❌"]


@pytest.mark.parametrize(("count", "cut"), [(100, ["host7"]), (40, ["host7", "host9"])])
def test_of_a_large_mesh_only_what_the_failures_have_in_common_is_shown(count: int, cut: list[str]) -> None:
    markdown = render(results.result(count, cut=cut))
    assert [row[0] for row in table(markdown)] == ["host", *cut]
    assert len(markdown) < 5000
    assert table(render(results.result(count))) == []


def test_many_causes_do_not_flood() -> None:
    silent = {f"host{number}": f"is down {number}" for number in range(1, 91)}
    markdown = render(results.result(100, silent=silent))
    assert len(markdown) < 20_000
    assert "… and 51 more causes" in shown(markdown)


def test_nothing_to_probe_is_no_failure() -> None:
    assert shown(render(Result((), ()))) == "✅ mesh: nothing to probe"


def test_nothing_a_host_says_is_markup() -> None:
    markdown = render(results.result(2, silent={"host1": results.EVIL}))
    found = {token.type for token in inline(markdown)}
    assert found <= {"text", "text_special", "strong_open", "strong_close"}
    assert [token.type for token in tokens(markdown)].count("list_item_open") == 2
    assert "<script>alert(1)</script><img src=x onerror=alert(1)> ]]> --> &amp;" in shown(markdown)
    assert len(table(markdown)) == 3


@given(st.text(max_size=60).map(lambda said: "".join(c for c in said if c.isprintable()).strip()))
def test_any_line_that_prints_is_shown_as_it_is_and_stays_in_its_cell(said: str) -> None:
    (paragraph,) = (token for token in tokens(f"x {text(said)}") if token.type == "inline")
    assert "".join(child.content for child in paragraph.children or ()) == f"x {said}".rstrip()
    assert table(f"| a | b |\n|---|---|\n| x{text(said)}x | y |\n") == [["a", "b"], [f"x{said}x", "y"]]
