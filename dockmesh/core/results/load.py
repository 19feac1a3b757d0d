"""A status document read strictly: anyone may have written it. Keys that are not known are passed over."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dockmesh.core.results.model import Result
from dockmesh.core.text import one_line, quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_SHOWN = 3
_LONGEST = 150


@dataclass(frozen=True, kw_only=True)
class _Status(Result):
    format: Literal["dockmesh/status/1"]


@dataclass(frozen=True, kw_only=True)
class _Applied:
    format: Literal["dockmesh/apply/1"]
    status: _Status


_DOCUMENT: TypeAdapter[_Status | _Applied] = TypeAdapter(Annotated[_Status | _Applied, Field(discriminator="format")])


def load_result(text: bytes | str, *, file: str) -> Result:
    """The result that a document of `status --json` holds, or of `apply --json`, which ends with one.

    Raises:
        UsageError: it is none; the message names what is wrong, and where.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refusal(file, [f"no JSON: {error}"]) from error
    return parse_result(document, file=file)


def parse_result(document: object, *, file: str) -> Result:
    """As `read`, from JSON that is taken apart already."""
    # JSON may hold half characters, which are no text; pydantic refuses the whole for one.
    text = json.dumps(document, ensure_ascii=False).encode(errors="replace")
    try:
        document = _DOCUMENT.validate_json(text, strict=True)
    except ValidationError as error:
        wrong = [_told(one) for one in error.errors(include_url=False, include_input=False)]
        raise _refusal(file, wrong) from error
    result = document.status if isinstance(document, _Applied) else document
    if wrong := list(_contradictions(result)):
        raise _refusal(file, wrong)
    return result


def _refusal(file: str, wrong: list[str]) -> UsageError:
    more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
    told = "; ".join(wrong[:_SHOWN])
    return UsageError(
        f"{file}: no document of status --json or apply --json: {told}{more}", code=UsageCode.NOT_A_RESULT
    )


def _told(error: ErrorDetails) -> str:
    if error["type"].startswith("union_tag"):
        return "format is neither dockmesh/status/1 nor dockmesh/apply/1"
    # First comes the format that the document bears.
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"][1:]).lstrip(".")
    return one_line(f"{where}: {error['msg']}".removeprefix(": "), _LONGEST)


def _contradictions(result: Result) -> Iterator[str]:
    hosts = Counter(each.host for each in result.hosts)
    yield from (f"host {name} is in it {times} times" for name, times in hosts.items() if times > 1)
    strange = {name for row in result.rows for name in (row.source, row.target)} - set(hosts)
    yield from (f"probes name {quoted(name)}, which is not among its hosts" for name in sorted(strange))
