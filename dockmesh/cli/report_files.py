"""The files that a result is written to besides the terminal, one for each way of showing it."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.atomic_write import write_atomic
from dockmesh.core.results.model import MeshResult
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

# Each has a module in `report`, whose libraries are loaded when it is asked for.
_VIEWS = {
    "junit": "JUnit XML, for CI servers: a case per pair.",
    "markdown": "Markdown, for the summary of a CI run.",
    "prometheus": "Gauges for the node exporter's textfile collector; name it *.prom.",
    "html": "One page with graph, heat map and details, to open in a browser.",
}


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The files asked for, by view."""

    files: Mapping[str, Path] = field(default_factory=dict)

    def write(self, result: MeshResult) -> Iterator[str]:
        """Write them all, each beside and renamed; why some could not be written."""
        for view, file in self.files.items():
            try:
                write_atomic(file, import_module(f"dockmesh.report.{view}").render(result))
            except OSError as error:
                yield f"{file}: {error.strerror or error}: the report could not be written"


def report_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb an option per view; it takes them as its argument `views`, checked."""

    @wraps(verb)
    def called(*given: Any, **options: Any) -> Any:
        asked = {view: options.pop(view) for view in _VIEWS}
        files = {view: file for view, file in asked.items() if file is not None}
        _check(list(files.values()))
        return verb(*given, views=ReportFiles(files), **options)

    decorated: Callable[..., Any] = called
    for view, told in reversed(_VIEWS.items()):
        kind = click.Path(path_type=Path, dir_okay=False)
        decorated = click.option(f"--{view}", type=kind, metavar="FILE", help=told)(decorated)
    return decorated


def report_problems(problems: Iterator[str]) -> int:
    """Say what could not be written; the exit status of that, 0 where there is nothing."""
    told = list(problems)
    for problem in told:
        click.echo(problem, err=True)
    return UsageError.exit_status if told else 0


def _check(files: list[Path]) -> None:
    """Before any host is contacted."""
    targets = [os.path.realpath(file) for file in files]
    for file, target in zip(files, targets, strict=True):
        folder = Path(target).parent
        if not folder.is_dir():
            raise UsageError(f"{file}: there is no folder {folder}: make it first", code=UsageCode.NO_FOLDER)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"{file}: the folder {folder} is not yours to write in", code=UsageCode.CANNOT_WRITE)
        if file.exists() and not file.is_file():
            raise UsageError(f"{file}: not a regular file; name one, or a name that is free", code=UsageCode.NOT_A_FILE)
        if targets.count(target) > 1:
            raise UsageError(f"{file}: two reports cannot go into one file", code=UsageCode.SAME_FILE)
