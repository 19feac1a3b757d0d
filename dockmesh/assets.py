"""The text files dockmesh renders: `templates/` of the checkout, or their copy in the wheel.

A few of them give way to a user's own of the same name in the folder $DOCKMESH_TEMPLATES. Each of these begins with its
name, its version, and the variables it is rendered with; the version rises when a variable goes or changes its meaning.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_IN_WHEEL = Path(__file__).with_name("templates")
_IN_CHECKOUT = Path(__file__).parent.with_name("templates")
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
VARIABLE = "DOCKMESH_TEMPLATES"

# What is not here says what a host has and how it is changed: plan, read-back and destroy go by it to the letter.
# With each, values as it may be rendered with, where these are few.
_REPLACEABLE: dict[str, Mapping[str, object]] = {
    "dockmesh.service.j2": {"reassert_script": "/etc/dockmesh/reassert.sh", "runs_docker": True},
    "dockmesh.timer.j2": {"interval_s": 25},
    "report/page.html.j2": {},
    "report/page.css": {},
}
_HEAD = re.compile(r"(?s)\A(?:\{#-?|/\*) dockmesh template (\S+) version (\d+)(?:: (.*?))?\s*(?:-?#\}|\*/)")


@dataclass(frozen=True, slots=True)
class Head:
    """What a template says of itself."""

    name: str
    version: int
    variables: tuple[str, ...]


@cache
def template(name: str) -> str:
    """The text of `templates/NAME`, or of the user's own in its place, which `check` has found good."""
    return source(name).read_text(encoding="utf-8")


def source(name: str) -> Path:
    """Where that text is from."""
    folder = _own_folder()
    own = folder / name if folder and name in _REPLACEABLE else None
    return own if own and own.is_file() else FOLDER / name


def replaceable() -> tuple[Head, ...]:
    """The templates that a user may replace."""
    heads = (_head((FOLDER / name).read_text(encoding="utf-8")) for name in _REPLACEABLE)
    return tuple(head for head in heads if head)


def check() -> None:
    """See to it that the user's own templates can be used.

    Raises:
        UsageError: one is for another version, wants a variable that there is not, or has no place here.
    """
    folder = _own_folder()
    if folder is None:
        return
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder, and ${VARIABLE} names it", code=UsageCode.NO_FOLDER)
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            _check(file, name.as_posix())


def _check(file: Path, name: str) -> None:
    ours = next((head for head in replaceable() if head.name == name), None)
    if ours is None:
        raise UsageError(
            f"{file}: this is none of the templates that can be replaced: {', '.join(_REPLACEABLE)}",
            code=UsageCode.UNKNOWN_TEMPLATE,
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{file}: it cannot be read: {error}", code=UsageCode.CANNOT_READ) from error
    head = _head(text)
    if head is None or (head.name, head.version) != (name, ours.version):
        found = f"it is of {head.name} version {head.version}" if head else "its first line says of no version"
        raise UsageError(
            f"{file}: {found}, and here is version {ours.version}: begin with a copy of {FOLDER / name}",
            code=UsageCode.TEMPLATE_VERSION,
        )
    if name.endswith(".j2"):
        _compile(file, text, ours)


def _compile(file: Path, text: str, ours: Head) -> None:
    from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError, meta  # noqa: PLC0415 (seldom)

    environment = Environment(undefined=StrictUndefined, autoescape=True)
    try:
        unknown = sorted(meta.find_undeclared_variables(environment.parse(text)) - set(ours.variables))
        if unknown:
            raise UsageError(
                f"{file}: no variable is called {unknown[0]!r}; there are: {', '.join(ours.variables)}",
                code=UsageCode.TEMPLATE_VARIABLE,
            )
        if values := _REPLACEABLE[ours.name]:
            environment.from_string(text).render(values)
    except TemplateSyntaxError as error:
        raise UsageError(f"{file}:{error.lineno}: {error.message}", code=UsageCode.BAD_TEMPLATE) from error
    except TemplateError as error:
        raise UsageError(f"{file}: {error.message}", code=UsageCode.BAD_TEMPLATE) from error


def _head(text: str) -> Head | None:
    found = _HEAD.match(text)
    return Head(found[1], int(found[2]), tuple(re.findall(r"\w+", found[3] or ""))) if found else None


def _own_folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None
