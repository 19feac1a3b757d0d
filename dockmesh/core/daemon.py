"""daemon.json: put dockmesh's own keys in, keep every other where it stands, and take them out again.

Docker's daemon strips a byte order mark and takes an empty file for `{}` (moby, `getConflictFreeConfiguration`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Interface, ip_network
from math import isfinite
from typing import Any

from dockmesh.core.model import Pool

OWN_KEYS = ("bip", "default-address-pools")
_BOM = "\ufeff"
_INDENT = re.compile(r"\{\s*\n([ \t]+)\"")


class DaemonJsonError(ValueError):
    """The file is not a JSON object; the text says where it breaks."""


def load(text: str | None) -> dict[str, Any]:
    """The file's keys; none where it is absent or empty.

    Raises:
        DaemonJsonError: the text is no JSON object.
    """
    stripped = (text or "").removeprefix(_BOM).strip()
    if not stripped:
        return {}
    try:
        document = json.loads(stripped, parse_float=_number, parse_constant=_number)
        json.dumps(document, indent=1)
    except (ValueError, RecursionError) as error:
        raise DaemonJsonError(f"not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise DaemonJsonError("not a JSON object")
    return document


def merge(text: str | None, own: Mapping[str, Any]) -> str:
    """The file with the keys of `own` set: each in its place where it was, else at the end.

    A text that has them already comes back as it is, to the byte.
    """
    document = load(text)
    if text is not None and all(key in document and document[key] == value for key, value in own.items()):
        return text
    return _dump({**document, **own}, like=text)


def naming(text: str | None, address: IPv4Interface | None, pools: Sequence[Pool]) -> str | None:
    """The file with which Docker comes up with docker0 on `address` and with `pools`; None where `text` is one.

    Docker that runs may differ from its file: it has remembered an address, or somebody changed the file since.
    """
    document = load(text)
    if address is None or _named(document) == (address, tuple(pools)):
        return None
    document["bip"] = str(address)
    document.pop("default-address-pools", None)
    if pools:
        document["default-address-pools"] = [{"base": str(pool.base), "size": pool.size} for pool in pools]
    return _dump(document, like=text)


def pools(text: str | None) -> tuple[Pool, ...]:
    """The pools that the file names; none where it names none, or something else.

    Raises:
        DaemonJsonError: the text is no JSON object.
    """
    found = _named(load(text))
    return found[1] if found else ()


def _named(document: Mapping[str, Any]) -> tuple[IPv4Interface | None, tuple[Pool, ...]] | None:
    """The address and the pools that the file names; None where they are none."""
    with suppress(ValueError, TypeError, KeyError):
        rows = document.get("default-address-pools", [])
        pools = tuple(Pool(ip_network(row["base"]), int(row["size"])) for row in rows)
        return (IPv4Interface(document["bip"]) if "bip" in document else None), pools
    return None


def restore(text: str | None, original: str | None) -> str | None:
    """The file as it would stand had dockmesh never been there; None where it should be absent.

    Where nobody else changed it, that is the original to the byte; else only the own keys go back.
    """
    document, before = load(text), load(original)
    if text is None or _foreign(document) == _foreign(before):
        return original if text is not None else None
    for key in OWN_KEYS:
        if key in before:
            document[key] = before[key]
        else:
            document.pop(key, None)
    return _dump(document, like=text)


def _number(text: str) -> float:
    """A JSON number; Python would also take NaN, and infinity for what is too large."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _foreign(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in OWN_KEYS}


def _dump(document: Mapping[str, Any], *, like: str | None) -> str:
    found = _INDENT.search(like or "")
    indent = found[1] if found else "  "
    bom = _BOM if like and like.startswith(_BOM) else ""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # A lone surrogate is no text, but can stand in JSON as an escape.
    return bom + text.encode(errors="backslashreplace").decode() + "\n"
