"""No text of the inventory can become an option, a second word or a command."""

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
_NO_WORD = {"option-like", "bad-character"}
REFUSING = {
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
NAMING = ["address", "user", "jump", "identity_file", "known_hosts", "netns"]


def inventory(**keys: str) -> str:
    """The inventory of one host with these keys; JSON is YAML."""
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
def test_shell_metacharacters_are_kept_as_the_text_they_are(key: str, text: str) -> None:
    (host,) = parse(inventory(**{key: text}), file="mesh.yml").hosts
    assert getattr(host.login, key) == text


@pytest.mark.parametrize("text", METACHARACTERS)
@pytest.mark.parametrize("key", REFUSING)
def test_shell_metacharacters_are_refused_where_they_mean_nothing(key: str, text: str) -> None:
    found = problem(inventory(**{key: text}))
    assert found.code in REFUSING[key]
    assert missing_facts(found.message, key) == []
    assert repr(text[:2])[:-1] in found.message


@pytest.mark.parametrize("text", METACHARACTERS)
def test_shell_metacharacters_are_refused_in_names_and_tags(text: str) -> None:
    host = {"address": "10.0.0.1", "docker": False}
    for document, code in (
        ({"mesh": {"name": text}}, "bad-name"),
        ({"hosts": {text: host}}, "bad-name"),
        ({"hosts": {"a": host | {"tags": [text]}}}, "bad-tag"),
    ):
        found = problem(json.dumps(document))
        assert (found.code, repr(text) in found.message) == (code, True)


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "a b", "a\tb", "a\nb", "a\x1bb", "a\u00a0b", "a\u202eb"])
@pytest.mark.parametrize("key", NAMING)
def test_what_could_become_an_option_or_several_words_is_refused(key: str, text: str) -> None:
    found = problem(inventory(**{key: text}))
    assert found.code in ({"bad-netns"} if key == "netns" else _NO_WORD)
    assert missing_facts(found.message, key) == []
