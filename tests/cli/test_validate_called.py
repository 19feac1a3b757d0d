"""`validate`, and what every verb says of an inventory that is wrong."""

import json
import re
from pathlib import Path

import pytest
from conftest import Refused, Run
from refusals import missing_facts

WRONG = """\
hosts:
  a: {address: 192.0.2.1, prefix: 10.0.0.0/24, colour: red}
  b: {address: 192.0.2.2, prefix: 10.0.0.0/25, allow: tcp/80}
"""


def test_a_valid_inventory_is_named_with_what_is_in_it(mesh: Path, run: Run) -> None:
    status, out, err = run("validate")
    assert (status, err) == (0, "")
    assert (re.findall(r"\b\d+\b", out), missing_facts(out, mesh.name)) == (["3", "3"], [])
    status, out, _ = run("validate", "--json", "-i", str(mesh))
    assert status == 0
    assert json.loads(out) == {
        "format": "dockmesh/validate/1",
        "file": str(mesh),
        "hosts": ["host1", "host2", "host3"],
    }


def test_a_key_that_this_machine_has_not_is_noted(mesh: Path, run: Run) -> None:
    mesh.write_text(f"connection: {{identity_file: /nowhere/key}}\n{mesh.read_text()}")
    status, _, err = run("validate")
    assert (status, len(err.splitlines())) == (0, 1)
    assert missing_facts(err, "identity_file '/nowhere/key' host1 host2 host3") == []


@pytest.mark.parametrize("words", [("validate",), ("plan",), ("status",), ("apply", "--yes"), ("allocate",)])
def test_with_json_the_problems_of_an_inventory_are_a_document(mesh: Path, run: Run, words: tuple[str, ...]) -> None:
    mesh.write_text(WRONG)
    status, out, err = run(*words, "--json")
    assert status == 4
    document = json.loads(out)
    assert document["format"] == "dockmesh/problems/1"
    found = [(each["file"], each["line"], each["column"], each["code"]) for each in document["problems"]]
    assert found == [
        ("mesh.yml", 2, 48, "unknown-key"),
        ("mesh.yml", 3, 35, "overlap"),
        ("mesh.yml", 3, 55, "wrong-type"),
    ]
    assert missing_facts(document["problems"][2]["message"], "allow tcp/80 udp/53") == []
    assert len(err.splitlines()) == 3, "people read them too"


@pytest.mark.parametrize(
    ("words", "code", "facts"),
    [
        (("validate", "-i", "nowhere.yml"), "cannot-read", "nowhere.yml -i"),
        (("plan", "--limit", "web"), "unknown-host", "--limit 'web'"),
        (("plan", "--limit", "tag:web"), "unknown-tag", "--limit 'web'"),
        (("apply",), "needs-yes", "--yes"),
        (("destroy",), "needs-yes", "--yes"),
        (("rollback",), "needs-yes", "--yes"),
    ],
)
@pytest.mark.usefixtures("mesh")
def test_with_json_another_mistake_is_a_document_without_a_place(
    problems_of_call: Refused, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: str, facts: str
) -> None:
    monkeypatch.setattr("dockmesh.cli.apply.has_terminal", lambda: False)
    (problem,) = problems_of_call(*words)
    assert (problem["code"], missing_facts(problem["message"], facts)) == (code, [])
    assert (problem["file"], problem["line"], problem["column"]) == (None, None, None)


@pytest.mark.usefixtures("mesh")
def test_a_verb_that_contacts_nobody_takes_what_is_about_hosts_and_does_not_offer_it(run: Run) -> None:
    assert run("validate", "--forks", "2", "--timeout", "5")[0] == 0
    assert "--forks" not in run("validate", "--help")[1]
    assert "--timeout" in run("plan", "--help")[1]
