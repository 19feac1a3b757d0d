"""The report files of a result, one per format."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.atomic_write import write_atomic
from dockmesh.cli.messages import print_message
from dockmesh.core.results.model import MeshResult
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

# Each has a module in `report`, imported only if its option is used.
_VIEWS = {
    "junit": "JUnit XML for CI servers, with one test case per pair.",
    "markdown": "Markdown for the summary of a CI run.",
    "prometheus": "Prometheus gauges for the node exporter's textfile collector; name the file *.prom.",
    "html": "HTML page with graph, heat map and details.",
}


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The report files to write, by format."""

    files: Mapping[str, Path] = field(default_factory=dict)

    def write(self, result: MeshResult) -> Iterator[str]:
        """Write all files atomically. Yields a message for each that could not be written."""
        for view, file in self.files.items():
            try:
                write_atomic(file, import_module(f"dockmesh.report.{view}").render(result))
            except OSError as error:
                yield f"{file}: cannot write the report: {error.strerror or error}"


def report_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option per format to a command. It receives the checked files as its argument `views`."""

    @wraps(verb)
    def call(*arguments: Any, **options: Any) -> Any:
        values = {view: options.pop(view) for view in _VIEWS}
        files = {view: file for view, file in values.items() if file is not None}
        _check(list(files.values()))
        return verb(*arguments, views=ReportFiles(files), **options)

    decorated: Callable[..., Any] = call
    for view, text in reversed(_VIEWS.items()):
        kind = click.Path(path_type=Path, dir_okay=False)
        decorated = click.option(f"--{view}", type=kind, metavar="FILE", help=text)(decorated)
    return decorated


def report_problems(problems: Iterator[str]) -> int:
    """Print the problems on stderr. The exit status: 0 if there are none."""
    messages = list(problems)
    for message in messages:
        print_message(message)
    return UsageError.exit_status if messages else 0


def _check(files: list[Path]) -> None:
    """Check before any host is contacted that each file can be written.

    Raises:
        UsageError: one cannot.
    """
    targets = [os.path.realpath(file) for file in files]
    for file, target in zip(files, targets, strict=True):
        folder = Path(target).parent
        if not folder.is_dir():
            raise UsageError(
                f"{file}: the folder {folder} does not exist. Fix: mkdir -p {folder}", code=UsageCode.NO_FOLDER
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"{file}: no permission to write in the folder {folder}", code=UsageCode.CANNOT_WRITE)
        if file.exists() and not file.is_file():
            raise UsageError(f"{file}: not a regular file. Fix: name another file", code=UsageCode.NOT_A_FILE)
        if targets.count(target) > 1:
            raise UsageError(f"{file}: two reports name this file. Fix: one file per report", code=UsageCode.SAME_FILE)
