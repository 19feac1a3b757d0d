"""The files an inventory is in."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dockmesh.core.inventory import yaml_reader
from dockmesh.core.inventory.yaml_document import Document
from dockmesh.error_codes import UsageCode
from dockmesh.errors import InventoryError, Problem, UsageError

_DEFAULTS = (Path("inventory/mesh.yml"), Path("mesh.yml"))
_ENDINGS = (".yml", ".yaml")


def inventory_files(given: Iterable[Path]) -> tuple[Path, ...]:
    """The files that are `given`, those in a folder in the order of their names, each once; else the default.

    Raises:
        UsageError: a folder has none in it, or nothing is given and there is none where one would be looked for.
    """
    files: dict[str, Path] = {}
    for file in (file for each in given for file in _files(each)):
        files.setdefault(os.path.realpath(file), file)
    if files:
        return tuple(files.values())
    for file in _DEFAULTS:
        if file.exists():
            return (file,)
    names = ", ".join(map(str, _DEFAULTS))
    raise UsageError(
        f"no inventory: there is no {names} here; name one with -i FILE or DOCKMESH_INVENTORY",
        code=UsageCode.NO_INVENTORY,
    )


def text_of(file: Path, *, advice: str = "name the inventory with -i FILE") -> str:
    """A file's text: line ends as they are, bytes that are no UTF-8 as surrogates.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return file.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: {advice}", code=UsageCode.CANNOT_READ) from error


def read_all(texts: Mapping[Path, str]) -> tuple[Document, ...]:
    """The documents that the texts of files are.

    Raises:
        InventoryError: some are none; what is wrong with each of them.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for file, text in texts.items():
        try:
            documents.append(yaml_reader.read(text, file=str(file)))
        except InventoryError as error:
            problems += error.problems
    if problems:
        raise InventoryError(problems)
    return tuple(documents)


def _files(given: Path) -> Iterator[Path]:
    if not given.is_dir():
        yield given
        return
    inside = sorted(file for file in given.iterdir() if file.suffix in _ENDINGS and not file.name.startswith("."))
    if not inside:
        raise UsageError(
            f"{given}: no inventory is in this folder: its files end in {' or '.join(_ENDINGS)}",
            code=UsageCode.NO_INVENTORY,
        )
    yield from inside
