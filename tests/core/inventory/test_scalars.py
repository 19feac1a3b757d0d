"""Injection: no text of an inventory can become an option, a second word or a command."""

import json

import pytest
from refusals import missing_facts

from dockmesh.core.inventory import parse
from dockmesh.errors import InventoryError, Problem

METACHARACTERS = [
    *(
        "$(reboot)",
        "`reboot`",
        "a;reboot",
        "a|b",
        "a&b",
        "a>b",
        "'a",
        '"a',
        "a\\b",
        "$HOME",
        "*",
        "{a,b}",
        "!a",
        "#a",
    ),
]
_UNSAFE_CODES = {"option-like", "bad-character"}
REJECTED_BY = {
    "address": {"bad-address"},
    "underlay": {"bad-address"},
    "prefix": {"bad-prefix"},
    "bridge": {"bad-bridge"},
    "docker": {"not-a-boolean"},
    "port": {"not-a-number"},
    "become": {"unknown-value"},
    "host_key_policy": {"unknown-value"},
    "jump": {"bad-address"},
    "netns": {"bad-netns"},
}
WORD_KEYS = ["address", "user", "jump", "identity_file", "known_hosts", "netns"]


def inventory(**keys: str) -> str:
    """The inventory of one host with these keys, as JSON, which is also YAML."""
    return json.dumps(
        {"hosts": {"a": {"address": "10.0.0.1", "underlay": "10.0.0.1", "prefix": "10.9.0.0/24", **keys}}}
    )


def problem(text: str) -> Problem:
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    (only,) = caught.value.problems
    return only


@pytest.mark.parametrize("text", [*METACHARACTERS, "~root"])
@pytest.mark.parametrize("key", ["user", "identity_file", "known_hosts"])
def test_shell_metacharacters_in_words_are_kept_as_text(key: str, text: str) -> None:
    (host,) = parse(inventory(**{key: text}), file="mesh.yml").hosts
    assert getattr(host.login, key) == text


@pytest.mark.parametrize("text", METACHARACTERS)
@pytest.mark.parametrize("key", REJECTED_BY)
def test_shell_metacharacters_in_other_values_are_rejected(key: str, text: str) -> None:
    found = problem(inventory(**{key: text}))
    assert found.code in REJECTED_BY[key]
    assert missing_facts(found.message, key) == []
    assert repr(text[:2])[:-1] in found.message


@pytest.mark.parametrize("text", METACHARACTERS)
def test_shell_metacharacters_in_names_and_tags_are_rejected(text: str) -> None:
    host = {"address": "10.0.0.1", "docker": False}
    for document, code in (
        ({"mesh": {"name": text}}, "bad-name"),
        ({"hosts": {text: host}}, "bad-name"),
        ({"hosts": {"a": host | {"tags": [text]}}}, "bad-tag"),
    ):
        found = problem(json.dumps(document))
        assert (found.code, repr(text) in found.message) == (code, True)


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "a b", "a\tb", "a\nb", "a\x1bb", "a\u00a0b", "a\u202eb"])
@pytest.mark.parametrize("key", WORD_KEYS)
def test_options_and_multiple_words_are_rejected(key: str, text: str) -> None:
    found = problem(inventory(**{key: text}))
    assert found.code in ({"bad-netns"} if key == "netns" else _UNSAFE_CODES)
    assert missing_facts(found.message, key) == []
