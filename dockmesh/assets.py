"""The templates of dockmesh: `templates/` of the checkout, or their copy in the wheel.

A user can replace some of them with files of the same name in the folder $DOCKMESH_TEMPLATES. Each replaceable template
starts with a header: its name, its version and its variables. The version increases when a variable is removed or
changes its meaning.
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

# All other templates read and change hosts, and plan, read-back and destroy rely on their exact text.
# The values are examples for a trial rendering; an empty mapping skips it.
_REPLACEABLE: dict[str, Mapping[str, object]] = {
    "dockmesh.service.j2": {"reassert_script": "/etc/dockmesh/reassert.sh", "runs_docker": True},
    "dockmesh.timer.j2": {"interval_s": 25},
    "report/page.html.j2": {},
    "report/page.css": {},
}
_HEAD = re.compile(r"(?s)\A(?:\{#-?|/\*) dockmesh template (\S+) version (\d+)(?:: (.*?))?\s*(?:-?#\}|\*/)")


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a template."""

    name: str
    version: int
    variables: tuple[str, ...]


@cache
def template(name: str) -> str:
    """The text of `templates/NAME`, or of the user's custom template, which `check` must have accepted before."""
    return source(name).read_text(encoding="utf-8")


def source(name: str) -> Path:
    """The file of the text that `template` returns."""
    folder = _custom_folder()
    custom = folder / name if folder and name in _REPLACEABLE else None
    return custom if custom and custom.is_file() else FOLDER / name


def replaceable() -> tuple[Head, ...]:
    """The headers of the templates that a user can replace."""
    heads = (_head((FOLDER / name).read_text(encoding="utf-8")) for name in _REPLACEABLE)
    return tuple(head for head in heads if head)


def check() -> None:
    """Check the user's custom templates.

    Raises:
        UsageError: a template is for another version, uses an unknown variable, or cannot be replaced.
    """
    folder = _custom_folder()
    if folder is None:
        return
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: the folder in ${VARIABLE} does not exist. Fix: unset {VARIABLE}", code=UsageCode.NO_FOLDER
        )
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            _check(file, name.as_posix())


def _check(file: Path, name: str) -> None:
    original = next((head for head in replaceable() if head.name == name), None)
    if original is None:
        raise UsageError(
            f"{file}: this template cannot be replaced. These can: {', '.join(_REPLACEABLE)}",
            code=UsageCode.UNKNOWN_TEMPLATE,
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{file}: cannot read the template: {error}", code=UsageCode.CANNOT_READ) from error
    head = _head(text)
    if head is None or (head.name, head.version) != (name, original.version):
        difference = f"it is for {head.name} version {head.version}" if head else "it has no header with a version"
        raise UsageError(
            f"{file}: {difference}, but dockmesh has version {original.version}. Fix: start from a copy of "
            f"{FOLDER / name}",
            code=UsageCode.TEMPLATE_VERSION,
        )
    if name.endswith(".j2"):
        _compile(file, text, original)


def _compile(file: Path, text: str, original: Head) -> None:
    from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError, meta  # noqa: PLC0415 (seldom)

    environment = Environment(undefined=StrictUndefined, autoescape=True)
    try:
        unknown = sorted(meta.find_undeclared_variables(environment.parse(text)) - set(original.variables))
        if unknown:
            raise UsageError(
                f"{file}: no such variable: {unknown[0]!r}. The variables are {', '.join(original.variables)}",
                code=UsageCode.TEMPLATE_VARIABLE,
            )
        if values := _REPLACEABLE[original.name]:
            environment.from_string(text).render(values)
    except TemplateSyntaxError as error:
        raise UsageError(f"{file}:{error.lineno}: {error.message}", code=UsageCode.BAD_TEMPLATE) from error
    except TemplateError as error:
        raise UsageError(f"{file}: {error.message}", code=UsageCode.BAD_TEMPLATE) from error


def _head(text: str) -> Head | None:
    match = _HEAD.match(text)
    return Head(match[1], int(match[2]), tuple(re.findall(r"\w+", match[3] or ""))) if match else None


def _custom_folder() -> Path | None:
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None
