"""The inventory: text in, fleet out, every problem at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Any

from dockmesh.core.inventory import yaml_reader
from dockmesh.core.inventory.invalid import Invalid, check_schema, invalid_paths
from dockmesh.core.inventory.multi_file import document_with, duplicates, location, merge_documents
from dockmesh.core.inventory.schema import ConnectionKeys, HostKeys, InventoryKeys, MeshKeys
from dockmesh.core.inventory.validate import check, underlay_of
from dockmesh.core.inventory.yaml_document import Document
from dockmesh.core.model import Fleet, Host, HostNetwork, Login, Settings
from dockmesh.errors import InventoryError, Problem

_LOGIN_KEYS = frozenset(ConnectionKeys.model_fields)


def parse(text: str, *, file: str, prefixes_required: bool = True) -> Fleet:
    """The fleet that `text` describes; `file` is what its problems are called after.

    Args:
        text: YAML; decoded with `errors="surrogateescape"`, bytes that are no UTF-8 are reported too.
        file: name of the file, for messages.
        prefixes_required: False lets a host with Docker lack a prefix, for `allocate` to draw one.

    Raises:
        InventoryError: all that is wrong, in the file's order.
    """
    return fleet_of(yaml_reader.read(text, file=file), prefixes_required=prefixes_required)


def fleet_of(*documents: Document, prefixes_required: bool = True) -> Fleet:
    """The fleet that the documents describe together; arguments and errors as those of `parse`."""
    read = [check_schema(document.root) for document in documents]
    each = [keys for keys, _faults in read]
    keys = merge_documents(documents, each)
    unreadable = invalid_paths([fault for _keys, faults in read for fault in faults])
    problems = [problem for document in documents for problem in document.problems]
    problems += (_problem(document, one) for document, (_, its) in zip(documents, read, strict=True) for one in its)
    problems += duplicates(documents, each)
    found = check(keys, unreadable, prefixes_required=prefixes_required)
    problems += (_between(documents, fault) for fault in found)
    if problems:
        order = {document.file: at for at, document in enumerate(documents)}
        # What hosts take over from one anchor is wrong once, however many take it over.
        raise InventoryError(sorted(dict.fromkeys(problems), key=lambda one: (order[one.file], one.line, one.column)))
    return _fleet(keys)


def default_bridge(prefix: IPv4Network) -> IPv4Interface:
    """docker0 where the inventory says nothing: the prefix's first address, as a /24 or the whole of less."""
    return IPv4Interface((int(prefix.network_address) + 1, max(24, prefix.prefixlen)))


def default_bridge6(prefix: IPv6Network) -> IPv6Interface:
    """The same of IPv6, as a /64 or the whole of less."""
    return IPv6Interface((int(prefix.network_address) + 1, max(64, prefix.prefixlen)))


def _problem(document: Document, fault: Invalid) -> Problem:
    return document.problem(fault.path, fault.code, fault.message, at_key=fault.at_key)


def _between(documents: Sequence[Document], fault: Invalid) -> Problem:
    """A fault among the files: what it gets in the way of is named with its place where that is in another one."""
    document = document_with(documents, fault.path)
    if fault.other is None or (other := document_with(documents, fault.other)) is document:
        return _problem(document, fault)
    return _problem(document, replace(fault, message=f"{fault.message} ({location(other, fault.other)})"))


def _fleet(keys: InventoryKeys) -> Fleet:
    shared = _login_keys(keys.connection)
    return Fleet(_settings(keys.mesh), tuple(_host(name, host, shared, keys.mesh) for name, host in keys.hosts.items()))


def _settings(mesh: MeshKeys) -> Settings:
    return Settings(
        name=mesh.name,
        pool=mesh.pool,
        prefix_length=mesh.prefix_length,
        pool_size=mesh.pool_size,
        source_nat=mesh.source_nat,
        confirm_within_s=mesh.confirm_within,
    )


def _host(name: str, keys: HostKeys, shared: Mapping[str, Any], mesh: MeshKeys) -> Host:
    underlay = underlay_of(keys)
    if underlay is None:
        raise AssertionError(f"{name} has passed the checks without an underlay address")
    bridge = keys.bridge or (default_bridge(keys.prefix) if keys.prefix and keys.docker else None)
    return Host(
        name=name,
        underlay=underlay,
        prefix=keys.prefix,
        bridge=bridge,
        docker=keys.docker,
        login=Login(address=str(keys.address), **{**shared, **_login_keys(keys)}),
        tags=keys.tags,
        allow=mesh.allow if keys.allow is None else keys.allow,
        ipv6=_ipv6(keys),
    )


def _ipv6(keys: HostKeys) -> HostNetwork | None:
    if keys.underlay6 is None:
        return None
    bridge = keys.bridge6 or (default_bridge6(keys.prefix6) if keys.prefix6 and keys.docker else None)
    return HostNetwork(keys.underlay6, keys.prefix6, bridge)


def _login_keys(keys: ConnectionKeys) -> dict[str, Any]:
    return {key: getattr(keys, key) for key in keys.model_fields_set & _LOGIN_KEYS}
