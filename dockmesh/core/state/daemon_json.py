"""Edits of daemon.json that set and remove dockmesh's keys and keep all other keys in place.

Docker strips a byte order mark and reads an empty file as `{}` (moby, `getConflictFreeConfiguration`).
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, IPv6Network
from typing import Any

from dockmesh.core import fwmark
from dockmesh.core.host_output import parse_json
from dockmesh.core.state.resources import DockerNetworking, NftAdmission, Pool, parse_pool

IPV6_KEYS = ("ipv6", "fixed-cidr-v6", "bip6")
OWN_KEYS = ("bip", "default-address-pools", *IPV6_KEYS)
# The first version that knows the key bip6. Without the key, it keeps the last address of docker0.
BIP6_SINCE = 28
FWMARK_KEY = "bridge-accept-fwmark"
DIRECT_ROUTING_KEY = "allow-direct-routing"
NFTABLES_KEYS = (FWMARK_KEY, DIRECT_ROUTING_KEY)
# The keys that lead to a value, outermost first.
Path = tuple[str, ...]
_ABSENT = object()
_MTU_DIGITS = 9
_BOM = "\ufeff"
_INDENT = re.compile(r"\{\s*\n([ \t]+)\"")


class DaemonJsonError(ValueError):
    """The file is not a JSON object that dockmesh can edit. The message names the position."""


def load(text: str | None) -> Mapping[str, Any]:
    """Return the file's keys, which callers do not change; none if the file is absent or empty.

    Raises:
        DaemonJsonError: the text is not a JSON object.
    """
    document, error = _parsed(text)
    if error:
        raise DaemonJsonError(error)
    return document


@lru_cache(maxsize=64)
def _parsed(text: str | None) -> tuple[Mapping[str, Any], str | None]:
    """The keys, and why the text is not a writable JSON object. Cached, since planning reads a file many times."""
    stripped = (text or "").removeprefix(_BOM).strip()
    try:
        document = parse_json(stripped) if stripped else {}
    except ValueError as error:
        return {}, f"not valid JSON: {error}"
    return (document, None) if isinstance(document, dict) else ({}, "not a JSON object")


def _copy(text: str | None) -> dict[str, Any]:
    return deepcopy(dict(load(text)))


def merge(text: str | None, own: Mapping[str, Any], *, stale: Iterable[str] = (), original: str | None = None) -> str:
    """Return the file with the keys of `own` set; existing keys keep their position, new ones follow at the end.

    The `stale` keys, which dockmesh set before, get their values from `original`. Without a difference the text is
    returned unchanged.

    Raises:
        DaemonJsonError: one of the texts is not a JSON object.
    """
    document = load(text)
    wanted = {**_with_original(document, load(original), stale), **own}
    return text if text is not None and wanted == document else _dump(wanted, like=text)


def value_at(text: str | None, path: Path) -> Any:
    """Return the value at `path`, or None.

    Raises:
        DaemonJsonError: the text is not a JSON object.
    """
    return _or_none(_at(load(text), path))


def parse_mtu(value: Any) -> int | None:
    """Return an MTU in bytes. Docker writes it as a number or as text, and reads 0 as unset."""
    decimal = isinstance(value, str) and value.isdecimal() and len(value) <= _MTU_DIGITS
    number = int(value) if decimal else value
    return number if type(number) is int and number > 0 else None


def with_values(text: str, values: Mapping[Path, Any]) -> str:
    """Return the file with these values set; None removes a value.

    Without a difference the text is returned unchanged.

    Raises:
        DaemonJsonError: the text is not a JSON object, or a path leads through a value that is not an object.
    """
    changed = {path: value for path, value in values.items() if value_at(text, path) != value}
    document = _copy(text) if changed else {}
    for path, value in changed.items():
        _put(document, path, _ABSENT if value is None else value)
    return _dump(document, like=text) if changed else text


def startup_json(text: str | None, bridge: DockerNetworking) -> str | None:
    """Return the file with which Docker starts with the addresses, pools and MTU of `bridge`; None if `text` is such.

    A running Docker can differ from its file, since Docker remembers docker0's address and operators edit the file.

    Raises:
        DaemonJsonError: the text is not a JSON object.
    """
    keys = load(text)
    named, mtu = _named(keys), parse_mtu(keys.get("mtu"))
    # Without an MTU in the file, Docker's default or a flag applies. Docker does not remember its admission.
    if bridge.address is None or (
        named and replace(named, mtu=mtu or bridge.mtu, admission=bridge.admission) == bridge
    ):
        return None
    document = {key: value for key, value in keys.items() if key not in OWN_KEYS}
    document["bip"] = str(bridge.address)
    if mtu:
        document["mtu"] = bridge.mtu
    if bridge.pools:
        document["default-address-pools"] = [{"base": pool.text, "size": pool.size} for pool in bridge.pools]
    if bridge.address6:
        document |= {"ipv6": True, "fixed-cidr-v6": str(bridge.address6.network)}
        # Only versions that know bip6 can have another address than the first.
        if bridge.address6 != first_address(bridge.address6.network):
            document["bip6"] = str(bridge.address6)
    return _dump(document, like=text)


def same_values(text: str | None, other: str | None, keys: Iterable[str]) -> bool:
    """Whether two files have equal values for these keys; False if either is not a JSON object."""
    try:
        one, two = load(text), load(other)
    except DaemonJsonError:
        return False
    return all(one.get(key) == two.get(key) for key in keys)


def pools(text: str | None) -> tuple[Pool, ...]:
    """Return the pools that the file names; none if they are absent or invalid.

    Raises:
        DaemonJsonError: the text is not a JSON object.
    """
    named = _named(load(text))
    return named.pools if named else ()


def nft_admission(text: str | None, *, nftables: bool) -> NftAdmission | None:
    """Return which routed packets Docker accepts with this file; a mark that dockmesh cannot use counts as none.

    Without the nftables backend the result is None, unless the file still has both keys as dockmesh sets them.

    Raises:
        DaemonJsonError: the text is not a JSON object.
    """
    keys = load(text)
    named = keys.get(FWMARK_KEY)
    admission = NftAdmission(
        fwmark.parse(named) if isinstance(named, str) else None, direct_routing=keys.get(DIRECT_ROUTING_KEY) is True
    )
    return admission if nftables or (admission.mark and admission.direct_routing) else None


def first_address(network: IPv6Network) -> IPv6Interface:
    """Return the address that Docker assigns to docker0 from `fixed-cidr-v6` by default."""
    return IPv6Interface((int(network.network_address) + 1, network.prefixlen))


def _named(document: Mapping[str, Any]) -> DockerNetworking | None:
    """Return the addresses and pools that the file names; None if any of them is invalid."""
    with suppress(ValueError, TypeError, KeyError):
        rows = document.get("default-address-pools", [])
        pools = tuple(parse_pool(row["base"], int(row["size"])) for row in rows)
        return DockerNetworking(
            IPv4Interface(document["bip"]) if "bip" in document else None, pools, address6=_named6(document)
        )
    return None


def _named6(document: Mapping[str, Any]) -> IPv6Interface | None:
    if document.get("ipv6") is not True:
        return None
    if "bip6" in document:
        return IPv6Interface(document["bip6"])
    return first_address(IPv6Network(document["fixed-cidr-v6"])) if "fixed-cidr-v6" in document else None


def restore(text: str | None, original: str | None, also: Collection[Path] = ()) -> str | None:
    """Return the file without dockmesh's changes; None if it should be absent.

    If nothing else changed, that is the original text. Otherwise only dockmesh's keys and the values at the paths of
    `also` are restored from it.
    """
    document, before = _copy(text), load(original)
    own = (*((key,) for key in OWN_KEYS), *also)
    if text is None or _without(_copy(text), own) == _without(_copy(original), own):
        return original if text is not None else None
    for path in own:
        _put(document, path, _at(before, path))
    return _dump(document, like=text)


def _with_original(document: Mapping[str, Any], original: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The document with the original values of these keys."""
    restored = dict(document)
    for key in keys:
        if key in original:
            restored[key] = original[key]
        else:
            restored.pop(key, None)
    return restored


def _at(document: Mapping[str, Any], path: Path) -> Any:
    """The value at `path`, or _ABSENT."""
    table: Any = document
    for name in path:
        if not isinstance(table, dict) or name not in table:
            return _ABSENT
        table = table[name]
    return table


def _or_none(value: Any) -> Any:
    return None if value is _ABSENT else value


def _put(document: dict[str, Any], path: Path, value: Any) -> None:
    """Set the value at `path`, or remove it (_ABSENT) with the objects that become empty."""
    name, *rest = path
    if not rest and value is not _ABSENT:
        document[name] = value
    elif not rest:
        document.pop(name, None)
    elif isinstance(table := document.get(name, {}), dict):
        _put(table, tuple(rest), value)
        document[name] = table
        if not table:
            del document[name]
    elif value is not _ABSENT:
        raise DaemonJsonError(f"not valid for Docker: {name} is not an object")


def _without(document: dict[str, Any], paths: Collection[Path]) -> dict[str, Any]:
    for path in paths:
        _put(document, path, _ABSENT)
    return document


def _dump(document: Mapping[str, Any], *, like: str | None) -> str:
    match = _INDENT.search(like or "")
    indent = match[1] if match else "  "
    bom = _BOM if like and like.startswith(_BOM) else ""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # UTF-8 cannot encode a lone surrogate, but JSON can escape it.
    return bom + text.encode(errors="backslashreplace").decode() + "\n"
