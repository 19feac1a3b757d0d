"""The documentation: generated pages are up to date, commands parse, links resolve."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from dockmesh.cli import cli
from dockmesh.core.explain import faults
from dockmesh.core.explain.faults import CATALOGUE, FaultCode
from dockmesh.errors import ExitStatus
from docs.generate import EXIT_CODES, FOLDER, generated

ROOT = FOLDER.parent
PAGES = (ROOT / "README.md", *sorted(FOLDER.rglob("*.md")))
_BLOCK = re.compile(r"(?ms)^ *```(\w*)\n(.*?)^ *```$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ENDS = {"|", ">", ">>", "<", "&&", "||", ";", "&"}


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each call of dockmesh in a script, without prompt, comment, redirection and pipe."""
    for line in text.splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        if not line.strip().removeprefix("$ ").startswith("dockmesh "):
            continue
        words = list(lexer)[1:]
        yield words[: next((at for at, word in enumerate(words) if word in _ENDS), len(words))]


def documented() -> list[tuple[str, list[str]]]:
    shown = [
        (str(page.relative_to(ROOT)), block[1])
        for page in PAGES
        for block in _BLOCK.findall(page.read_text(encoding="utf-8"))
        if block[0] in {"", "sh", "console"} and "[OPTIONS]" not in block[1]
    ]
    return [(page, words) for page, block in shown for words in commands(block)]


def parse(words: list[str]) -> None:
    """Parse a command line as dockmesh does, without running it.

    Raises:
        click.UsageError: the command line is wrong.
    """
    command: click.Command = cli
    path, rest = "dockmesh", list(words)
    while isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        _, subcommand, rest = command.resolve_command(context, rest)
        assert subcommand is not None
        command = subcommand
    command.make_context(command.name, rest)


@pytest.mark.parametrize(("page", "words"), documented(), ids=lambda each: each if isinstance(each, str) else None)
def test_a_command_in_the_documentation_parses(page: str, words: list[str]) -> None:
    assert page
    parse(words)


@pytest.mark.parametrize("wrong", [["plan", "--nope"], ["aply"], ["trace", "one"], ["lab", "fault", "quake", "host1"]])
def test_a_command_that_does_not_exist_is_detected(wrong: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong)


def test_the_documentation_shows_every_command() -> None:
    shown = {words[0] for page, words in documented() if page != "docs/reference.md"}
    assert shown >= set(cli.list_commands(click.Context(cli)))


def test_generated_documentation_is_up_to_date() -> None:
    stale = [file.name for file, text in generated() if file.read_text(encoding="utf-8") != text]
    assert not stale, "make docs"


@pytest.mark.parametrize("page", ["README.md", "docs/guides/scripts.md"])
def test_a_table_of_exit_codes_lists_every_code_once(page: str) -> None:
    section = (ROOT / page).read_text(encoding="utf-8").partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    rows = [(int(code), text) for code, text in re.findall(r"(?m)^\| (\d+) \| (.+) \|$", section)]
    assert [code for code, _text in rows] == list(ExitStatus)
    assert [code for code, text in rows if not text.startswith(EXIT_CODES[ExitStatus(code)][0])] == []


def test_the_man_page_lists_every_exit_code_once() -> None:
    section = (
        (FOLDER / "dockmesh.1").read_text(encoding="utf-8").partition("\n.SH EXIT STATUS\n")[2].partition("\n.SH ")[0]
    )
    assert [int(code) for code in re.findall(r"(?m)^\.B (\d+)$", section)] == list(ExitStatus)


def test_every_fault_of_explain_is_documented_and_in_use() -> None:
    assert set(CATALOGUE) == set(FaultCode)
    folder = Path(faults.__file__).parent
    code = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py") if file.stem != "catalogue")
    assert [each for each in FaultCode if f"FaultCode.{each.name}" not in code] == [], "named by nothing any more"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_resolve(page: Path) -> None:
    for link in _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, place = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not place or place in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings on GitHub and GitLab."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", sorted((FOLDER / "ci").glob("*.yml")), ids=lambda file: file.name)
def test_the_calls_in_ci_examples_parse(file: Path) -> None:
    calls = list(commands("\n".join(scripts(yaml.safe_load(file.read_text(encoding="utf-8"))))))
    assert {words[0] for words in calls} == {"validate", "plan", "apply"}
    for words in calls:
        parse(words)


def scripts(node: object) -> Iterator[str]:
    """Every text in a document, as any of them can be a shell script."""
    match node:
        case str():
            yield node
        case dict():
            for each in node.values():
                yield from scripts(each)
        case list():
            for each in node:
                yield from scripts(each)


def test_the_readme_links_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {link.partition("#")[0] for link in _LINK.findall(readme)}
    assert [page for page in (str(each.relative_to(ROOT)) for each in PAGES[1:]) if page not in linked] == []


def test_the_readme_shows_the_commands_in_their_order_of_use() -> None:
    shown = [words[0] for page, words in documented() if page == "README.md"]
    steps = ["init", "validate", "plan", "apply", "status", "destroy"]
    assert [verb for verb in dict.fromkeys(shown) if verb in steps] == steps
