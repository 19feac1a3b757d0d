"""YAML as it was written: text, places, and no input that brings the process down."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from refusals import locations, missing_facts

from dockmesh.core.inventory import yaml_reader
from dockmesh.core.inventory.yaml_document import Document
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InventoryError, Problem

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_reader, "_LOADER", yaml.CSafeLoader if request.param == "in C" else yaml.SafeLoader)


def read(text: str) -> Document:
    return yaml_reader.read(text, file="mesh.yml")


def problems(text: str) -> tuple[Problem, ...]:
    """Those that leave no document, or else those of the document."""
    try:
        return read(text).problems
    except InventoryError as error:
        return error.problems


def test_every_scalar_is_its_own_text() -> None:
    root = read("{130: no, no: 1e3, 1e3: 0x10, ~: 022, 12:30:45: 2026-01-01, =: 1_0}").root
    assert root == {"130": "no", "no": "1e3", "1e3": "0x10", "~": "022", "12:30:45": "2026-01-01", "=": "1_0"}


def test_plain_nulls_are_null_and_quoted_ones_are_text() -> None:
    assert read("{a: , b: ~, c: null, d: '', e: '~', f: \"null\"}").root == {
        "a": None, "b": None, "c": None, "d": "", "e": "~", "f": "null",
    }  # fmt: skip


def test_keys_and_values_know_line_and_column() -> None:
    document = read("mesh:\n  name: lab\nhosts:\n  a: {tags: [x, y]}\n")
    assert document.place(("mesh", "name")) == (2, 9)
    assert document.place(("mesh", "name"), at_key=True) == (2, 3)
    assert document.place(("hosts", "a", "tags", 1)) == (4, 17)


def test_a_missing_key_is_a_problem_of_the_key_that_should_hold_it() -> None:
    document = read("hosts:\n  a:\n    port: 1\n")
    assert document.place(("hosts", "a", "address")) == (2, 3)
    assert document.place(("nothing", "at", "all")) == (1, 1)


def test_messages_stay_on_one_line_and_carry_no_control_codes() -> None:
    found = read("a: b").problem(("a",), ProblemCode.SYNTAX, "x\n\x1b[31m\u202e")
    assert (str(found), found.code) == (r"mesh.yml:1:4: x\n\x1b[31m\u202e", "syntax")


def test_duplicate_keys_are_problems_and_the_first_one_counts() -> None:
    document = read("a: 1\nb: 2\na: 3\n")
    assert locations(document.problems) == ["3:1 duplicate-key"]
    assert missing_facts(document.problems[0].message, "a 1") == []
    assert document.root == {"a": "1", "b": "2"}


def test_anchors_aliases_and_merge_keys_work() -> None:
    root = read("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 0}\nk: &k v\n*k : *k\n").root
    assert root["z"] == {"a": "0", "b": "2", "c": "4"}
    assert root["v"] == "v"


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("'<<': 1").root == {"<<": "1"}


def test_what_is_merged_stands_where_it_was_written() -> None:
    document = read("x: &x {a: 1}\nz:\n  <<: *x\n")
    assert document.place(("z", "a")) == (1, 11)


def test_tags_of_the_core_schema_are_taken_and_others_named() -> None:
    assert read("{a: !!str no, b: !!int '5', c: !!map {}, d: !!seq [], e: ! x}").problems == ()
    found = read("{a: !vault x, b: !!python/name:os.system y, c: !!set {}}").problems
    assert locations(found) == ["1:5 unknown-yaml-tag", "1:18 unknown-yaml-tag", "1:48 unknown-yaml-tag"]
    tags = ("!vault", "!!python/name:os.system", "!!set")
    assert [repr(tag) in each.message for tag, each in zip(tags, found, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1 empty-file"),
        ("# nothing\n---\n", "1:1 empty-file"),
        ("- a\n", "1:1 not-a-mapping"),
        ("\n  word\n", "2:3 not-a-mapping"),
        ("a: 1\n---\nb: 2\n", "2:1 second-document"),
        ("mesh:\n\tname: lab\n", "2:1 tab"),
        ("a: {b: 1\n", "2:1 syntax"),
        ("a: b: c\n", "1:5 syntax"),
        ("a: *b\n", "1:4 unknown-anchor"),
        ("a: &a [*a]\n", "1:8 cycle"),
        ("a: &a [1]\n*a : 2\n", "2:1 key-not-text"),
        ("a: {{ ip }}\n", "1:5 key-not-text"),
        ("a: \x07\n", "1:4 bad-character"),
        ("a: 1\nb: \udcff\n", "2:4 not-utf-8"),
        ("a: \ud800\n", "1:4 bad-character"),
        ("a: 1 # \u2028", "1:8 bad-character"),
        ("a: {<<: b}\n", "1:9 bad-merge"),
        ("a: !x!y b\n", "1:4 syntax"),
        ("[" * 100_000, "1:33 too-deep"),
        ("- " * 5_000, "1:65 too-deep"),
        (BOMB, "6:20 too-large"),
    ],
)
def test_what_is_no_inventory_is_told_with_its_place(text: str, problem: str) -> None:
    assert locations(problems(text)) == [problem]


def test_characters_and_bytes_that_do_not_show_are_named_by_their_numbers() -> None:
    for text, number in (
        ("a: \x07\n", "U+0007"),
        ("a: \ud800\n", "U+D800"),
        ("# \u2028", "U+2028"),
        ("\udcff", "0xff"),
    ):
        assert missing_facts(problems(text)[0].message, number) == []


def test_a_byte_order_mark_is_no_character() -> None:
    assert read("\ufeffa: 1").place(("a",)) == (1, 4)


def test_all_that_came_before_a_syntax_error_is_told_too() -> None:
    assert locations(problems("a: 1\na: 2\nb: [\n")) == ["2:1 duplicate-key", "4:1 syntax"]


@given(st.text(alphabet="ab:,-[]{}&*!|>'\"#?%@`<~ \n\r\t\\\ufeff\x85\u2028é\0", max_size=60))
def test_any_text_is_a_document_or_problems_inside_the_file(text: str) -> None:
    try:
        found = read(text).problems
    except InventoryError as error:
        found = error.problems
        assert found
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for each in found:
        assert 1 <= each.line <= len(lines)
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert each.message.isprintable()
