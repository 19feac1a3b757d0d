"""The Markdown report, parsed by a CommonMark parser with tables."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
import results
from formats import tokens, visible_text
from hypothesis import given
from hypothesis import strategies as st
from markdown_it.token import Token
from printed import Line, figures, line

from dockmesh.core.results.model import MeshResult
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


def heading(markdown: str) -> tuple[str, str, set[str]]:
    """The mark, the name of the mesh and the figures of the heading."""
    found = tokens(markdown)
    (text,) = (after.content for token, after in pairwise(found) if token.type == "heading_open")
    return (*text.replace(":", " ").split()[:2], set(figures(text)))


def points(markdown: str) -> list[str]:
    """The texts of the list items."""
    found = tokens(markdown)
    starts = [at for at, token in enumerate(found) if token.type == "list_item_open"]
    return ["".join(child.content for child in found[at + 2].children or ()) for at in starts]


def test_small_mesh_has_a_heading_and_a_table_of_pairs() -> None:
    markdown = render(results.result(3))
    assert heading(markdown) == ("✅", "lab", {"14"})
    assert "2026-01-02 03:04:05" in visible_text(markdown).splitlines()[1]
    assert points(markdown) == []
    rows = table(markdown)
    assert rows[0][1:] == ["host1", "host2", "host3"]
    assert [row[0] for row in rows[1:]] == ["host1", "host2", "host3"]
    assert rows[1][2].startswith("✓64 ✓63 ✓62 ")
    assert rows[3][3] == "-"


def test_each_family_has_a_table_and_failures_name_ipv6() -> None:
    whole = render(results.result(3, dual=True))
    parts = [each.content if each.type == "inline" else each.type for each in tokens(whole)]
    order = [part for text in parts for part in re.findall(r"IPv\d|table_open", text)]
    assert order == ["IPv4", "table_open", "IPv6", "table_open"]
    rows = table(whole)
    assert [row[0] for row in rows if row[1:] != ["host1", "host2", "host3"]] == ["host1", "host2", "host3"] * 2
    assert rows[0] == rows[4]
    assert rows[2][1].startswith("✓64 ✓63 ✓62 ")
    assert rows[6] == ["host2", "-", "✓64 0.3 ms", "✓64 0.5 ms"]
    markdown = render(results.result(3, dual=True, silent={"host3": "no login"}))
    (of_host2,) = re.findall(r"host2 → host3 [^;]*", points(markdown)[-1])
    assert line(of_host2) == Line("", ("host2",), ("host3",), ("host-bridge", "host-bridge (IPv6)"), ())


def test_each_cause_is_a_list_item_with_its_pairs() -> None:
    markdown = render(results.result(3, cut=["host2"], silent={"host3": "no login"}))
    assert heading(markdown) == ("❌", "lab", {"14", "8", "4", "1"})
    silent, lost = points(markdown)
    assert re.match(r"host3\b.* no login\b", silent)
    assert figures(silent) == ["4"]
    assert lost.startswith("no reply")
    assert figures(lost) == ["8"]
    kinds = ("host-bridge", "host-container", "container-container")
    assert [line(each) for each in lost.split(": ", 1)[1].split("; ")] == [
        Line("", ("host1",), ("host2",), kinds, ()),
        Line("", ("host1", "host2"), ("host3",), kinds[:1], ()),
        Line("", ("host2",), ("host1",), kinds, ()),
    ]
    assert table(markdown)[1] == ["host1", "✓64 0.1 ms", "❌ ❌ ❌", "❌"]


@pytest.mark.parametrize(("count", "cut"), [(100, ["host7"]), (40, ["host7", "host9"])])
def test_large_mesh_shows_only_the_hosts_that_failures_share(count: int, cut: list[str]) -> None:
    result = results.result(count, cut=cut)
    markdown = render(result)
    assert [row[0] for row in table(markdown)][1:] == cut
    lost = {host: sum(host in {row.source, row.target} for row in result.failed) for host in cut}
    shares = [[share.split("/") for share in row[1:]] for row in table(markdown)[1:]]
    assert [sum(int(asked) - int(reached) for reached, asked in each) for each in shares] == list(lost.values())
    assert len(markdown) < 5000
    assert table(render(results.result(count))) == []


def test_number_of_causes_is_limited() -> None:
    silent = {f"host{number}": f"is down {number}" for number in range(1, 91)}
    markdown = render(results.result(100, silent=silent))
    assert len(markdown) < 20_000
    *named, rest = points(markdown)
    assert [re.match(r"host\d+\b", each)[0] for each in named] == [f"host{number}" for number in range(1, 41)]
    assert figures(rest) == ["51"]


def test_empty_mesh_is_not_a_failure() -> None:
    markdown = render(MeshResult((), ()))
    assert heading(markdown) == ("✅", "mesh", set())
    assert len(visible_text(markdown).splitlines()) == 1


def test_host_texts_cannot_inject_markup() -> None:
    markdown = render(results.result(2, silent={"host1": results.EVIL}))
    found = {token.type for token in inline(markdown)}
    assert found <= {"text", "text_special", "strong_open", "strong_close"}
    assert [token.type for token in tokens(markdown)].count("list_item_open") == 2
    assert "<script>alert(1)</script><img src=x onerror=alert(1)> ]]> --> &amp;" in visible_text(markdown)
    assert len(table(markdown)) == 3


@given(st.text(max_size=60).map(lambda text: "".join(c for c in text if c.isprintable()).strip()))
def test_any_printable_line_is_shown_unchanged_in_its_cell(plain: str) -> None:
    (paragraph,) = (token for token in tokens(f"x {text(plain)}") if token.type == "inline")
    assert "".join(child.content for child in paragraph.children or ()) == f"x {plain}".rstrip()
    assert table(f"| a | b |\n|---|---|\n| x{text(plain)}x | y |\n") == [["a", "b"], [f"x{plain}x", "y"]]
