"""The parser of saved results. It is strict because the files are untrusted input, and ignores unknown keys."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dockmesh.core.results.model import MeshResult
from dockmesh.core.text import one_line, quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_SHOWN = 3
_LONGEST = 150


@dataclass(frozen=True, kw_only=True)
class _Status(MeshResult):
    format: Literal["dockmesh/status/1"]


@dataclass(frozen=True, kw_only=True)
class _Applied:
    format: Literal["dockmesh/apply/1"]
    status: _Status


_DOCUMENT: TypeAdapter[_Status | _Applied] = TypeAdapter(Annotated[_Status | _Applied, Field(discriminator="format")])


def load_result(text: bytes | str, *, file: str) -> MeshResult:
    """The result in a document of `status --json` or `apply --json`.

    Raises:
        UsageError: the text is not such a document. The message names the first wrong keys.
    """
    try:
        document = _DOCUMENT.validate_json(text, strict=True)
    except ValidationError:
        document = _lenient(text, file)
    status = document.status if isinstance(document, _Applied) else document
    if problems := list(_contradictions(status)):
        raise _refusal(file, problems)
    return MeshResult(**{field.name: getattr(status, field.name) for field in fields(MeshResult)})


def _lenient(text: bytes | str, file: str) -> _Status | _Applied:
    """Parse again, with support for other encodings than UTF-8 and for lone surrogates, which pydantic rejects."""
    try:
        whole = json.dumps(json.loads(text), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError) as error:
        raise _refusal(file, [f"invalid JSON: {error}"]) from error
    try:
        return _DOCUMENT.validate_json(whole, strict=True)
    except ValidationError as error:
        problems = [_problem(each) for each in error.errors(include_url=False, include_input=False)]
        raise _refusal(file, problems) from error


def _refusal(file: str, problems: list[str]) -> UsageError:
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    shown = "; ".join(problems[:_SHOWN])
    return UsageError(
        f"{file}: not a document of status --json or apply --json: {shown}{more}", code=UsageCode.NOT_A_RESULT
    )


def _problem(error: ErrorDetails) -> str:
    if error["type"].startswith("union_tag"):
        return "format is neither dockmesh/status/1 nor dockmesh/apply/1"
    # pydantic puts the format of the document first.
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"][1:]).lstrip(".")
    return one_line(f"{where}: {error['msg']}".removeprefix(": "), _LONGEST)


def _contradictions(result: MeshResult) -> Iterator[str]:
    hosts = Counter(result.names)
    yield from (f"host {name} is listed {times} times" for name, times in hosts.items() if times > 1)
    unknown = {name for probe in result.probes for name in (probe.source, probe.target)} - set(hosts)
    yield from (f"probes name {quoted(name)}, which is not in the list of hosts" for name in sorted(unknown))
