"""The parser of a host's output, and host output in messages."""

import unicodedata

import pytest
from builders import recording, section
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.host_output import (
    MAX_JSON_LEVELS,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    Section,
    file_section,
    parse_json,
    sanitize,
    split,
)
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]))


@given(st.dictionaries(st.from_regex(r"[a-z0-9_.]+", fullmatch=True), st.tuples(st.integers(0, 255), TEXTS)))
def test_sections_are_parsed_as_they_were_written(written: dict[str, tuple[int, str]]) -> None:
    written |= {"end": (0, "")}
    output = "".join(section(name, value) for name, value in written.items())
    assert split(output) == {name: Section(*value) for name, value in written.items()}


def test_text_that_looks_like_a_section_is_text() -> None:
    sections = split(section("motd", "@user 0\n@end 0") + section("end", ""))
    assert sections == {"motd": Section(0, "@user 0\n@end 0"), "end": Section(0, "")}


def test_a_banner_before_the_first_section_is_ignored() -> None:
    assert split("Welcome!\n\nsudo: unable to resolve host x\n@end 0\n") == {"end": Section(0, "")}


@pytest.mark.parametrize(
    ("output", "code", "quote"),
    [
        ("", "answer-incomplete", ""),
        ("sh: 1: Syntax error", "answer-incomplete", "sh: 1: Syntax error"),
        ("@user 0\n 0\n", "answer-incomplete", ""),
        ("@user 0\nout of form\n@end 0\n", "answer-unreadable", "'out of form'"),
        ("@user 0\n\x1b]0;owned\x07\n@end 0\n", "answer-unreadable", "']0;owned'"),
        ("\x00\xff\ufffd" * 9, "answer-incomplete", ""),
    ],
)
def test_output_of_another_form_is_a_host_error(output: str, code: str, quote: str) -> None:
    with pytest.raises(HostError) as raised:
        split(output)
    assert raised.value.code == code
    assert quote in str(raised.value)
    assert str(raised.value).isprintable()


def test_truncated_output_is_never_accepted_as_complete() -> None:
    whole = recording("bookworm_fresh")
    for at in range(0, whole.index("@end"), 97):
        with pytest.raises(HostError) as raised:
            split(whole[:at])
        assert raised.value.code in {"answer-incomplete", "answer-unreadable"}


def test_a_missing_section_is_named() -> None:
    with pytest.raises(HostError) as raised:
        split("@end 0\n")["routes"]
    assert raised.value.code == "answer-unreadable"
    assert "'routes'" in str(raised.value)


def test_a_very_long_line_is_parsed_and_quoted_in_short_form() -> None:
    long = "x" * 250_000
    assert split(section("motd", long) + section("end", ""))["motd"].text == long
    with pytest.raises(HostError) as caught:
        split(f"@user 0\n{long}\n@end 0\n")
    assert len(str(caught.value)) < 300


@given(st.text() | st.text(st.sampled_from("\x1b[31mA\n\t\x9b\x07\u202e\u2028\ud800 ")))
def test_sanitized_text_has_no_control_characters(text: str) -> None:
    sanitized = sanitize(text)
    assert len(sanitized) <= 201
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in sanitized)
    sanitized.encode()


def test_an_escape_sequence_is_removed_completely() -> None:
    assert sanitize("\x1b[1;31mno\x1b[0m \x9b2Kroute\r\n") == "no route"


def test_a_file_section_has_a_mode_and_bytes() -> None:
    found = split(section("f", "644\naGkK\n/wA=") + section("gone", "absent") + section("end", ""))
    assert file_section(found, "f") == ("644", b"hi\n\xff\x00")
    assert file_section(found, "gone") is None


@given(TEXTS)
def test_any_file_section_is_a_file_or_a_host_error(text: str) -> None:
    try:
        file_section({"f": Section(0, text)}, "f")
    except HostError as error:
        assert str(error).isprintable()  # noqa: PT017 (any other exception fails the test)


@pytest.mark.parametrize("text", ["\n" * MAX_LINES, "x" * (MAX_LINE_CHARACTERS + 1)])
def test_an_answer_with_too_many_or_too_long_lines_is_refused(text: str) -> None:
    with pytest.raises(HostError) as caught:
        split(text)
    assert caught.value.code == HostErrorCode.ANSWER_TOO_LARGE


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 900 + "]" * 900, '{"a":' * 65 + "1" + "}" * 65, "NaN", "1e999", ""]
)
def test_json_that_is_no_answer_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the message is that of json)
        parse_json(text)


def test_json_of_docker_is_parsed() -> None:
    assert parse_json('{"a":' * MAX_JSON_LEVELS + "1.5" + "}" * MAX_JSON_LEVELS)
    assert parse_json("[1, [], {}, null]") == [1, [], {}, None]
