"""daemon.json: put dockmesh's own keys in, keep every other where it stands, and take them out again.

Docker's daemon strips a byte order mark and takes an empty file for `{}` (moby, `getConflictFreeConfiguration`).
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, IPv6Network, ip_network
from math import isfinite
from typing import Any

from dockmesh.core import fwmark
from dockmesh.core.state.resources import DockerNetworking, NftAdmission, Pool

IPV6_KEYS = ("ipv6", "fixed-cidr-v6", "bip6")
OWN_KEYS = ("bip", "default-address-pools", *IPV6_KEYS)
# The first version that knows the key bip6. It keeps to the address that docker0 had last where the key is absent.
BIP6_SINCE = 28
FWMARK_KEY = "bridge-accept-fwmark"
DIRECT_ROUTING_KEY = "allow-direct-routing"
NFTABLES_KEYS = (FWMARK_KEY, DIRECT_ROUTING_KEY)
_DOCKMESHS = NftAdmission(fwmark.parse(fwmark.OWN), direct_routing=True)
# A value's place: the names on the way to it, the outermost first.
Path = tuple[str, ...]
_ABSENT = object()
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
    if error := _fault(stripped):
        raise DaemonJsonError(error)
    document: dict[str, Any] = json.loads(stripped)
    return document


@lru_cache(maxsize=64)
def _fault(text: str) -> str | None:
    """Why a text is no JSON object that can be written again. A host's few are looked at time and again."""
    try:
        document = json.loads(text, parse_float=_number, parse_constant=_number)
        json.dumps(document, indent=1)
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {error}"
    return None if isinstance(document, dict) else "not a JSON object"


def merge(text: str | None, own: Mapping[str, Any], *, stale: Iterable[str] = (), original: str | None = None) -> str:
    """The file with the keys of `own` set: each in its place where it was, else at the end.

    Those of `lapsed`, which dockmesh set before, become what `original` has. A text that is like that already comes
    back as it is, to the byte.

    Raises:
        DaemonJsonError: one of the texts is no JSON object.
    """
    document = load(text)
    wanted = {**_given_back(document, load(original), stale), **own}
    return text if text is not None and wanted == document else _dump(wanted, like=text)


def value_at(text: str | None, path: Path) -> Any:
    """The value at that place, None where there is none.

    Raises:
        DaemonJsonError: the text is no JSON object.
    """
    return _or_none(_at(load(text), path))


def parse_mtu(value: Any) -> int | None:
    """An MTU: a number in one place of the file, a text in another; Docker takes 0 for none."""
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    return number if type(number) is int and number > 0 else None


def with_values(text: str, values: Mapping[Path, Any]) -> str:
    """The file with these values in their places; where one is None, there is none afterwards.

    A text that has them already comes back as it is, to the byte.

    Raises:
        DaemonJsonError: something else stands on the way to a place.
    """
    document = load(text)
    other = {path: value for path, value in values.items() if _or_none(_at(document, path)) != value}
    for path, value in other.items():
        _put(document, path, _ABSENT if value is None else value)
    return _dump(document, like=text) if other else text


def startup_json(text: str | None, bridge: DockerNetworking) -> str | None:
    """The file with which Docker comes up with docker0 and pools as in `bridge`; None where `text` is one.

    Docker that runs may differ from its file: it has remembered an address, or somebody changed the file since.

    Raises:
        DaemonJsonError: the text is no JSON object.
    """
    document = load(text)
    named, mtu = _named(document), parse_mtu(document.get("mtu"))
    # Where the file names no MTU, it is Docker's own, or that of a flag; what is let in, Docker does not remember.
    if bridge.address is None or (
        named and replace(named, mtu=mtu or bridge.mtu, admission=bridge.admission) == bridge
    ):
        return None
    for key in OWN_KEYS:
        document.pop(key, None)
    document["bip"] = str(bridge.address)
    if mtu:
        document["mtu"] = bridge.mtu
    if bridge.pools:
        document["default-address-pools"] = [{"base": str(pool.base), "size": pool.size} for pool in bridge.pools]
    if bridge.address6:
        document |= {"ipv6": True, "fixed-cidr-v6": str(bridge.address6.network)}
        # Only those versions take another one that know the key.
        if bridge.address6 != first_address(bridge.address6.network):
            document["bip6"] = str(bridge.address6)
    return _dump(document, like=text)


def same_values(text: str | None, other: str | None, keys: Iterable[str]) -> bool:
    """Whether two files say the same of those keys. Of one that is no JSON object, nobody knows."""
    try:
        one, two = load(text), load(other)
    except DaemonJsonError:
        return False
    return all(one.get(key) == two.get(key) for key in keys)


def pools(text: str | None) -> tuple[Pool, ...]:
    """The pools that the file names; none where it names none, or something else.

    Raises:
        DaemonJsonError: the text is no JSON object.
    """
    found = _named(load(text))
    return found.pools if found else ()


def nft_admission(text: str | None, *, nftables: bool) -> NftAdmission | None:
    """What the file has Docker let in of what is routed to containers; a mark that dockmesh cannot use counts as none.

    That matters with its nftables backend. With iptables it is None, unless the file still has what dockmesh set.

    Raises:
        DaemonJsonError: the text is no JSON object.
    """
    keys = load(text)
    named = keys.get(FWMARK_KEY)
    found = NftAdmission(
        fwmark.parse(named) if isinstance(named, str) else None, direct_routing=keys.get(DIRECT_ROUTING_KEY) is True
    )
    return found if nftables or found == _DOCKMESHS else None


def first_address(network: IPv6Network) -> IPv6Interface:
    """The address that Docker gives docker0 out of `fixed-cidr-v6` where nothing says otherwise."""
    return IPv6Interface((int(network.network_address) + 1, network.prefixlen))


def _named(document: Mapping[str, Any]) -> DockerNetworking | None:
    """The addresses and the pools that the file names; None where they are none."""
    with suppress(ValueError, TypeError, KeyError):
        rows = document.get("default-address-pools", [])
        pools = tuple(Pool(ip_network(row["base"]), int(row["size"])) for row in rows)
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
    """The file as it would stand had dockmesh never been there; None where it should be absent.

    Where nobody else changed it, that is the original to the byte; else only the own keys go back, and the values at
    the places of `also`.
    """
    document, before = load(text), load(original)
    own = (*((key,) for key in OWN_KEYS), *also)
    if text is None or _without(load(text), own) == _without(load(original), own):
        return original if text is not None else None
    for path in own:
        _put(document, path, _at(before, path))
    return _dump(document, like=text)


def _given_back(document: Mapping[str, Any], before: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The document, and those keys as they were before."""
    given = dict(document)
    for key in keys:
        if key in before:
            given[key] = before[key]
        else:
            given.pop(key, None)
    return given


def _number(text: str) -> float:
    """A JSON number; Python would also take NaN, and infinity for what is too large."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _at(document: Mapping[str, Any], path: Path) -> Any:
    """The value at that place, _ABSENT where there is none."""
    table: Any = document
    for name in path:
        if not isinstance(table, dict) or name not in table:
            return _ABSENT
        table = table[name]
    return table


def _or_none(value: Any) -> Any:
    return None if value is _ABSENT else value


def _put(document: dict[str, Any], path: Path, value: Any) -> None:
    """Put a value into its place, or with _ABSENT out of it; a table that is empty then goes as well."""
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
        raise DaemonJsonError(f"not as Docker takes it: {name} is no object")


def _without(document: dict[str, Any], places: Collection[Path]) -> dict[str, Any]:
    for path in places:
        _put(document, path, _ABSENT)
    return document


def _dump(document: Mapping[str, Any], *, like: str | None) -> str:
    found = _INDENT.search(like or "")
    indent = found[1] if found else "  "
    bom = _BOM if like and like.startswith(_BOM) else ""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # A lone surrogate is no text, but can stand in JSON as an escape.
    return bom + text.encode(errors="backslashreplace").decode() + "\n"
