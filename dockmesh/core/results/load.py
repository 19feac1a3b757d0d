"""The strict reader of saved results: anyone may have written them. Unknown keys are ignored."""

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
    """The result in a document of `status --json`, or in one of `apply --json`, which ends with one.

    Raises:
        UsageError: there is none; the message names what is wrong, and where.
    """
    try:
        document = _DOCUMENT.validate_json(text, strict=True)
    except ValidationError:
        document = _lenient(text, file)
    status = document.status if isinstance(document, _Applied) else document
    if wrong := list(_contradictions(status)):
        raise _refusal(file, wrong)
    return MeshResult(**{field.name: getattr(status, field.name) for field in fields(MeshResult)})


def _lenient(text: bytes | str, file: str) -> _Status | _Applied:
    """As `_DOCUMENT`, also from JSON that is not UTF-8 or holds half characters, which are no text for pydantic."""
    try:
        whole = json.dumps(json.loads(text), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError) as error:
        raise _refusal(file, [f"no JSON: {error}"]) from error
    try:
        return _DOCUMENT.validate_json(whole, strict=True)
    except ValidationError as error:
        wrong = [_told(one) for one in error.errors(include_url=False, include_input=False)]
        raise _refusal(file, wrong) from error


def _refusal(file: str, wrong: list[str]) -> UsageError:
    more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
    told = "; ".join(wrong[:_SHOWN])
    return UsageError(
        f"{file}: no document of status --json or apply --json: {told}{more}", code=UsageCode.NOT_A_RESULT
    )


def _told(error: ErrorDetails) -> str:
    if error["type"].startswith("union_tag"):
        return "format is neither dockmesh/status/1 nor dockmesh/apply/1"
    # The document's format comes first.
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"][1:]).lstrip(".")
    return one_line(f"{where}: {error['msg']}".removeprefix(": "), _LONGEST)


def _contradictions(result: MeshResult) -> Iterator[str]:
    hosts = Counter(result.names)
    yield from (f"host {name} is in it {times} times" for name, times in hosts.items() if times > 1)
    strange = {name for probe in result.probes for name in (probe.source, probe.target)} - set(hosts)
    yield from (f"probes name {quoted(name)}, which is not among its hosts" for name in sorted(strange))
