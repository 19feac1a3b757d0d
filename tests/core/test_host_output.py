"""The form of a host's answer, and what gets out of it."""

import unicodedata

import pytest
from builders import recording, section
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.host_output import Section, file_section, sanitize, split
from dockmesh.errors import HostError

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]))


@given(st.dictionaries(st.from_regex(r"[a-z0-9_.]+", fullmatch=True), st.tuples(st.integers(0, 255), TEXTS)))
def test_what_was_written_in_sections_is_read_back(said: dict[str, tuple[int, str]]) -> None:
    said |= {"end": (0, "")}
    answer = "".join(section(name, value) for name, value in said.items())
    assert split(answer) == {name: Section(*value) for name, value in said.items()}


def test_text_that_looks_like_a_section_is_text() -> None:
    sections = split(section("motd", "@user 0\n@end 0") + section("end", ""))
    assert sections == {"motd": Section(0, "@user 0\n@end 0"), "end": Section(0, "")}


def test_a_banner_before_the_first_section_is_passed_over() -> None:
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
def test_an_answer_of_another_form_is_a_failure_of_the_host(output: str, code: str, quote: str) -> None:
    with pytest.raises(HostError) as raised:
        split(output)
    assert raised.value.code == code
    assert quote in str(raised.value)
    assert str(raised.value).isprintable()


def test_an_answer_cut_off_anywhere_is_never_taken_for_a_whole_one() -> None:
    whole = recording("bookworm_fresh")
    for at in range(0, whole.index("@end"), 97):
        with pytest.raises(HostError) as raised:
            split(whole[:at])
        assert raised.value.code in {"answer-incomplete", "answer-unreadable"}


def test_a_section_the_host_left_out_is_named() -> None:
    with pytest.raises(HostError) as raised:
        split("@end 0\n")["routes"]
    assert raised.value.code == "answer-unreadable"
    assert "'routes'" in str(raised.value)


def test_a_line_of_a_million_characters_is_read_and_quoted_short() -> None:
    long = "x" * 1_000_000
    assert split(section("motd", long) + section("end", ""))["motd"].text == long
    with pytest.raises(HostError) as caught:
        split(f"@user 0\n{long}\n@end 0\n")
    assert len(str(caught.value)) < 300


@given(st.text() | st.text(st.sampled_from("\x1b[31mA\n\t\x9b\x07\u202e\u2028\ud800 ")))
def test_quoted_lets_no_control_character_through(text: str) -> None:
    said = sanitize(text)
    assert len(said) <= 201
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in said)
    said.encode()


def test_an_escape_sequence_goes_as_a_whole() -> None:
    assert sanitize("\x1b[1;31mno\x1b[0m \x9b2Kroute\r\n") == "no route"


def test_a_file_comes_with_its_mode_and_its_bytes() -> None:
    found = split(section("f", "644\naGkK\n/wA=") + section("gone", "absent") + section("end", ""))
    assert file_section(found, "f") == ("644", b"hi\n\xff\x00")
    assert file_section(found, "gone") is None


@given(TEXTS)
def test_any_file_section_is_a_file_or_a_failure_of_the_host(text: str) -> None:
    try:
        file_section({"f": Section(0, text)}, "f")
    except HostError as error:
        assert str(error).isprintable()  # noqa: PT017 (what is raised besides is what this looks for)
