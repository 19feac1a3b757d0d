"""Reader of YAML text, with PyYAML's C parser where it is available.

Scalars stay text and the schema interprets them: a host called `no`, `130` or `1e3` is a name, and `port: 022` is not
octal. The reader uses the parser's events, because PyYAML's C composer recurses without limit and crashes the process
on deep nesting. Events are also faster.
"""

import re
from collections.abc import Iterator
from typing import Final

import yaml
from yaml import tokens
from yaml.events import Event

from dockmesh.core.inventory.yaml_compose import INVENTORY, Composer, StopError
from dockmesh.core.inventory.yaml_document import Document, Position
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InventoryError, Problem

BYTE_ORDER_MARK: Final = "\ufeff"
BREAK: Final = re.compile("\r\n|\r|\n")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Allowed: YAML's characters except invisible marks and separators, at which editors count lines differently.
_UNFIT: Final = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_CLOSING: Final = {"{": "}", "[": "]", '"': '"', "'": "'"}
_ESCAPED_BYTES: Final = range(0xDC80, 0xDD00)


def read(text: str, *, file: str, keys: str = INVENTORY, any_tag: bool = False) -> Document:
    """Read the only document of `text`; `keys` and `any_tag` as for Composer.

    Raises:
        InventoryError: `text` is not YAML, or not a single mapping.
    """
    text = text.removeprefix(BYTE_ORDER_MARK)
    composer = Composer(keys, any_tag=any_tag)
    try:
        _refuse_unfit_characters(text)
        for event in _events(text):
            composer.take(event)
        root = composer.mapping()
    except StopError as stop:
        faults = [*composer.faults, stop.fault]
        raise InventoryError([Problem(file, *mark, code, why) for mark, code, why in sorted(faults)]) from None
    return Document(file, root, tuple(Problem(file, *mark, code, why) for mark, code, why in composer.faults))


def _events(text: str) -> Iterator[Event]:
    loader = _LOADER(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
    except yaml.MarkedYAMLError as error:
        raise _syntax_fault(error, text) from None
    finally:
        loader.dispose()


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> StopError:
    lines = BREAK.split(text)
    if unclosed := _unclosed(error, text, lines):
        return unclosed
    at = error.problem_mark or error.context_mark
    line, column = (at.line, at.column) if at and at.line < len(lines) else (len(lines) - 1, len(lines[-1]))
    problem = error.problem or "syntax error"
    if "tab character" in problem or lines[line][column : column + 1] == "\t":
        return StopError((line + 1, column + 1), ProblemCode.TAB, "YAML cannot be indented with tabs. Fix: use spaces")
    context = f" {error.context}" if error.context else ""
    return StopError((line + 1, column + 1), ProblemCode.SYNTAX, f"not valid YAML: {problem}{context}")


def _unclosed(error: yaml.MarkedYAMLError, text: str, lines: list[str]) -> StopError | None:
    """The fault of a brace, bracket or quote without its end, at its start; the parser notices it lines later."""
    start, noticed = error.context_mark, error.problem_mark
    if start is None or noticed is None or noticed.line == start.line:
        return None
    opening = lines[start.line][start.column : start.column + 1]
    if opening not in _CLOSING or (opening in "{[" and _is_balanced(text)):
        return None
    why = f"not valid YAML: this {opening} is not closed. Fix: add the closing {_CLOSING[opening]}"
    return StopError((start.line + 1, start.column + 1), ProblemCode.SYNTAX, why)


def _is_balanced(text: str) -> bool:
    """Whether as many braces and brackets end as start, outside of quotes and comments."""
    depth = 0
    try:
        for token in yaml.scan(text, Loader=_LOADER):
            depth += isinstance(token, tokens.FlowMappingStartToken | tokens.FlowSequenceStartToken)
            depth -= isinstance(token, tokens.FlowMappingEndToken | tokens.FlowSequenceEndToken)
    except yaml.YAMLError:
        return False
    return depth == 0


def _refuse_unfit_characters(text: str) -> None:
    unfit = _UNFIT.search(text)
    if not unfit:
        return
    code = ord(unfit.group())
    if code in _ESCAPED_BYTES:
        why = f"byte 0x{code - 0xDC00:02x} is not UTF-8. Fix: save the file as UTF-8"
        raise StopError(_place(text, unfit.start()), ProblemCode.NOT_UTF8, why)
    why = f"character U+{code:04X} is not allowed. Fix: remove it"
    raise StopError(_place(text, unfit.start()), ProblemCode.BAD_CHARACTER, why)


def _place(text: str, index: int) -> Position:
    before = BREAK.split(text[:index])
    return len(before), len(before[-1]) + 1
