"""The files of an inventory: which ones, their text, and their documents."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dockmesh.core.inventory import yaml_reader
from dockmesh.core.inventory.yaml_document import Document
from dockmesh.error_codes import UsageCode
from dockmesh.errors import InventoryError, Problem, UsageError

_DEFAULTS = (Path("inventory/mesh.yml"), Path("mesh.yml"))
_ENDINGS = (".yml", ".yaml")


def inventory_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files of `paths`, each once; without `paths`, the default inventory. Files of a folder are in name order.

    Raises:
        UsageError: a folder has no inventory file, or there are no `paths` and no default inventory.
    """
    files: dict[str, Path] = {}
    for file in (file for path in paths for file in _files(path)):
        files.setdefault(os.path.realpath(file), file)
    if files:
        return tuple(files.values())
    for file in _DEFAULTS:
        if file.exists():
            return (file,)
    names = ", ".join(map(str, _DEFAULTS))
    raise UsageError(
        f"no inventory: none of {names} exists here. Fix: -i FILE, or DOCKMESH_INVENTORY=FILE",
        code=UsageCode.NO_INVENTORY,
    )


def text_of(file: Path, *, advice: str = "name the inventory with -i FILE") -> str:
    """The text of a file, with its line ends, and with surrogates for bytes that are not UTF-8.

    Raises:
        UsageError: the file cannot be read; the message ends with `advice`.
    """
    try:
        return file.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}. Fix: {advice}", code=UsageCode.CANNOT_READ) from error


def read_all(texts: Mapping[Path, str]) -> tuple[Document, ...]:
    """Parse the texts of files, by file, into documents.

    Raises:
        InventoryError: with the problems of every text that is not one YAML mapping.
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


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = sorted(file for file in path.iterdir() if file.suffix in _ENDINGS and not file.name.startswith("."))
    if not files:
        raise UsageError(
            f"{path}: this folder has no inventory file. Fix: name the files *{' or *'.join(_ENDINGS)}",
            code=UsageCode.NO_INVENTORY,
        )
    yield from files
