"""YAML as it was written: text, places, and no input that brings the process down."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.inventory import yamldoc
from dockmesh.core.inventory.marked import Document
from dockmesh.errors import InventoryError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamldoc, "_LOADER", yaml.CSafeLoader if request.param == "in C" else yaml.SafeLoader)


def read(text: str) -> Document:
    return yamldoc.read(text, file="mesh.yml")


def problem(text: str) -> str:
    with pytest.raises(InventoryError) as caught:
        read(text)
    return str(caught.value)


def test_every_scalar_is_its_own_text() -> None:
    root = read("{130: no, no: 1e3, 1e3: 0x10, ~: 022, 12:30:45: 2026-01-01, =: 1_0}").root
    assert root == {"130": "no", "no": "1e3", "1e3": "0x10", "~": "022", "12:30:45": "2026-01-01", "=": "1_0"}


def test_plain_nulls_are_null_and_quoted_ones_are_text() -> None:
    assert read("{a: , b: ~, c: null, d: '', e: '~', f: \"null\"}").root == {
        "a": None, "b": None, "c": None, "d": "", "e": "~", "f": "null",
    }  # fmt: skip


def test_keys_and_values_know_line_and_column() -> None:
    document = read("mesh:\n  name: lab\nhosts:\n  a: {tags: [x, y]}\n")
    assert str(document.problem(("mesh", "name"), "m")) == "mesh.yml:2:9: m"
    assert str(document.problem(("mesh", "name"), "m", at_key=True)) == "mesh.yml:2:3: m"
    assert str(document.problem(("hosts", "a", "tags", 1), "m")) == "mesh.yml:4:17: m"


def test_a_missing_key_is_a_problem_of_the_key_that_should_hold_it() -> None:
    document = read("hosts:\n  a:\n    port: 1\n")
    assert str(document.problem(("hosts", "a", "address"), "m")) == "mesh.yml:2:3: m"
    assert str(document.problem(("nothing", "at", "all"), "m")) == "mesh.yml:1:1: m"


def test_messages_stay_on_one_line_and_carry_no_control_codes() -> None:
    assert read("a: b").problem(("a",), "x\n\x1b[31m\u202e").message == r"x\n\x1b[31m\u202e"


def test_duplicate_keys_are_problems_and_the_first_one_counts() -> None:
    document = read("a: 1\nb: 2\na: 3\n")
    assert [str(found) for found in document.problems] == ["mesh.yml:3:1: duplicate key 'a', on line 1 already"]
    assert document.root == {"a": "1", "b": "2"}


def test_anchors_aliases_and_merge_keys_work() -> None:
    root = read("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 0}\nk: &k v\n*k : *k\n").root
    assert root["z"] == {"a": "0", "b": "2", "c": "4"}
    assert root["v"] == "v"


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("'<<': 1").root == {"<<": "1"}


def test_what_is_merged_stands_where_it_was_written() -> None:
    document = read("x: &x {a: 1}\nz:\n  <<: *x\n")
    assert str(document.problem(("z", "a"), "m")) == "mesh.yml:1:11: m"


def test_tags_of_the_core_schema_are_taken_and_others_named() -> None:
    assert read("{a: !!str no, b: !!int '5', c: !!map {}, d: !!seq [], e: ! x}").problems == ()
    tags = [found.message for found in read("{a: !vault x, b: !!python/name:os.system y, c: !!set {}}").problems]
    assert tags == [
        "tag '!vault' means nothing here; remove it",
        "tag '!!python/name:os.system' means nothing here; remove it",
        "tag '!!set' means nothing here; remove it",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mesh.yml:1:1: the file is empty"),
        ("# nothing\n---\n", "mesh.yml:1:1: the file is empty"),
        ("- a\n", "mesh.yml:1:1: an inventory is a mapping"),
        ("\n  word\n", "mesh.yml:2:3: an inventory is a mapping"),
        ("a: 1\n---\nb: 2\n", "mesh.yml:2:1: a second document starts here"),
        ("mesh:\n\tname: lab\n", "mesh.yml:2:1: a tab cannot indent YAML; use spaces"),
        ("a: {b: 1\n", "not valid YAML: "),
        ("a: b: c\n", "mesh.yml:1:5: not valid YAML: mapping values are not allowed"),
        ("a: *b\n", "mesh.yml:1:4: *b refers to &b, which does not stand before it"),
        ("a: &a [*a]\n", "mesh.yml:1:8: *a stands inside &a"),
        ("a: &a [1]\n*a : 2\n", "mesh.yml:2:1: a key is text"),
        ("a: {{ ip }}\n", "mesh.yml:1:5: a key is text; put quotes"),
        ("a: \x07\n", "mesh.yml:1:4: character U+0007 has no place"),
        ("a: 1\nb: \udcff\n", "mesh.yml:2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: \ud800\n", "mesh.yml:1:4: character U+D800"),
        ("a: 1 # \u2028", "mesh.yml:1:8: character U+2028"),
        ("a: {<<: b}\n", "<< takes a mapping"),
        ("a: !x!y b\n", "not valid YAML: "),
        ("[" * 100_000, "mesh.yml:1:33: nested more than 32 levels deep"),
        ("- " * 5_000, "mesh.yml:1:65: nested more than 32 levels deep"),
        (BOMB, "aliases unfold to more than 500,000 values"),
    ],
)
def test_what_is_no_inventory_is_told_with_its_place(text: str, message: str) -> None:
    if "<<" in text:
        assert message in str(read(text).problems[0])
    else:
        assert message in problem(text)


def test_a_byte_order_mark_is_no_character() -> None:
    assert str(read("\ufeffa: 1").problem(("a",), "m")) == "mesh.yml:1:4: m"


def test_all_that_came_before_a_syntax_error_is_told_too() -> None:
    assert problem("a: 1\na: 2\nb: [\n").splitlines()[0] == "mesh.yml:2:1: duplicate key 'a', on line 1 already"


@given(st.text(alphabet="ab:,-[]{}&*!|>'\"#?%@`<~ \n\r\t\\\ufeff\x85\u2028é\0", max_size=60))
def test_any_text_is_a_document_or_problems_inside_the_file(text: str) -> None:
    try:
        problems = read(text).problems
    except InventoryError as error:
        problems = error.problems
        assert problems
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for found in problems:
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert found.message.isprintable()
