"""The pages for developers match the code: the paths, names, layers and targets on them, and what make help lists."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dockmesh"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_FENCED = re.compile(r"(?ms)^```\w*\n(.*?)^```$")
_CODE = re.compile(r"`([^`]+)`")
_PATH = re.compile(r"[\w.][\w./-]*/[\w./-]*|[\w.-]+\.(?:py|sh|md|toml|yml)")
# Functions with their parentheses, constants, types and private names. Other words may be values or terms.
_NAME = re.compile(r"\w+\(\)|_\w+|[A-Z]\w*")


def tree() -> dict[Path, str]:
    """The paths of the tree on the page, with the text behind each."""
    (block,) = filter(_is_tree, _FENCED.findall(ARCHITECTURE))
    found: dict[Path, str] = {}
    parents: list[Path] = []
    for line in block.splitlines():
        name, _, text = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        parents[depth:] = [(parents[depth - 1] if depth else ROOT) / name]
        found[parents[depth]] = text.strip()
    return found


def _is_tree(block: str) -> bool:
    return block.startswith(f"{PACKAGE.name}/\n")


def prose(page: str) -> str:
    """The page without its blocks of code."""
    return _FENCED.sub("", page)


def paragraphs() -> Iterator[str]:
    """The paragraphs of the page, and the items of its lists."""
    yield from re.split(r"\n\n|\n(?=\d+\. )", prose(ARCHITECTURE))


def paths(text: str) -> list[str]:
    """The paths that a text has as code. Paths on hosts begin with a slash."""
    return [code for code in _CODE.findall(text) if _PATH.fullmatch(code)]


def names(text: str) -> list[str]:
    """The functions, types and constants that a text has as code."""
    return [code for code in _CODE.findall(text) if _NAME.fullmatch(code) and code not in paths(text)]


def places(path: str) -> list[Path]:
    """Where a path leads: from the root, or from dockmesh/. Of a path with NAME, the folder it is in."""
    existing = path.rpartition("/")[0] if "NAME" in path else path
    return [place for start in (ROOT, PACKAGE) if (place := start / existing).exists()]


def source(path: str) -> str:
    """The text of a file, or of all modules in a folder."""
    files = (file for place in places(path) for file in (place.rglob("*.py") if place.is_dir() else [place]))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def stale_names(paragraph: str) -> list[str]:
    """The names that no file in the paragraph has; a function must be defined there."""
    text = "\n".join(map(source, paths(paragraph)))
    return [name for name in names(paragraph) if not re.search(_pattern(name), text)]


def _pattern(name: str) -> str:
    function = name.removesuffix("()")
    return rf"\b{name}\b" if function == name else rf"(?m)^ *(?:def {function}\(|{function}\(\))"


@pytest.mark.parametrize("page", [ARCHITECTURE, CONTRIBUTING], ids=["architecture", "contributing"])
def test_every_path_on_a_page_exists(page: str) -> None:
    found = paths(prose(page))
    assert len(found) > 3
    assert [path for path in found if not places(path)] == []


def test_every_path_in_the_picture_of_the_pipeline_exists() -> None:
    picture = next(block for block in _FENCED.findall(ARCHITECTURE) if not _is_tree(block))
    found = [word.strip(",") for word in picture.split() if "/" in word]
    assert len(found) > 10
    assert [path for path in found if not places(path)] == []


def test_the_tree_has_every_folder_of_the_package_and_no_other() -> None:
    folders = {module.parent for module in PACKAGE.rglob("*.py")}
    assert {path for path in tree() if path.suffix == ""} == folders


def test_the_tree_describes_every_path_on_it_and_each_exists() -> None:
    found = tree()
    assert [path for path in found if not path.exists()] == []
    assert [path for path, text in found.items() if not text] == [PACKAGE]


def test_every_name_on_the_page_is_in_a_file_beside_it() -> None:
    assert sum(len(names(each)) for each in paragraphs()) > 50
    assert [name for each in paragraphs() for name in stale_names(each)] == []


@pytest.mark.parametrize(
    ("paragraph", "stale"),
    [
        ("`core/state/diff.py` `difference()` and `Change`", []),
        ("`core/state/diff.py` `differences()` and `Changes`", ["differences()", "Changes"]),
        ("`templates/network_steps.sh` `change_routes()`", []),
        ("`core/desired/` `mesh_routes()` and `_NONE_SUCH`", ["_NONE_SUCH"]),
    ],
)
def test_a_stale_name_is_found(paragraph: str, stale: list[str]) -> None:
    assert stale_names(paragraph) == stale


def contracts(kind: str) -> list[dict[str, Any]]:
    """The contracts of import-linter of a kind."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == kind]


def test_the_page_shows_the_layers_that_are_checked() -> None:
    layered = contracts("layers")
    page = " ".join(ARCHITECTURE.split())
    assert layered
    for contract in layered:
        assert f"{contract['containers'][0]} {' > '.join(contract['layers'])}" in page


def test_the_page_names_the_modules_that_core_must_not_import() -> None:
    (forbidden,) = contracts("forbidden")
    *first, last = forbidden["forbidden_modules"]
    assert f"imports {', '.join(first)} or {last}." in " ".join(ARCHITECTURE.split())


def test_make_help_lists_every_target() -> None:
    (phony,) = re.findall(r"(?m)^\.PHONY: (.+)$", MAKEFILE)
    shown = subprocess.run(("make", "help"), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"(?m)^make (\S+) +\S", shown)) == set(phony.split())


def test_make_has_every_target_that_the_pages_name() -> None:
    targets = {*re.findall(r"(?m)^([a-z-]+):", MAKEFILE), ".venv/.ready"}
    named = set(re.findall(r"(?:`|\n)make ([a-z./-]+)", ARCHITECTURE + CONTRIBUTING))
    assert {"check", "record", "docs"} <= named <= targets
