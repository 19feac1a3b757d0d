"""Parser of inventories: YAML text to a fleet, with every problem reported at once."""

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
    """Parse an inventory.

    Args:
        text: YAML. Decode it with `errors="surrogateescape"`, so that bytes outside UTF-8 are reported as problems.
        file: name of the file, for messages.
        prefixes_required: False accepts a host with Docker and no prefix, so that `allocate` can draw one.

    Raises:
        InventoryError: every problem, in the order of the file.
    """
    return fleet_of(yaml_reader.read(text, file=file), prefixes_required=prefixes_required)


def fleet_of(*documents: Document, prefixes_required: bool = True) -> Fleet:
    """Build one fleet from all documents; arguments and errors as for `parse`."""
    checked = [check_schema(document.root) for document in documents]
    keys_by_document = [keys for keys, _faults in checked]
    keys = merge_documents(documents, keys_by_document)
    unreadable = invalid_paths([fault for _keys, faults in checked for fault in faults])
    problems = [problem for document in documents for problem in document.problems]
    problems += (
        _problem(document, fault) for document, (_, faults) in zip(documents, checked, strict=True) for fault in faults
    )
    problems += duplicates(documents, keys_by_document)
    faults_between = check(keys, unreadable, prefixes_required=prefixes_required)
    problems += (_problem_between(documents, fault) for fault in faults_between)
    if problems:
        order = {document.file: at for at, document in enumerate(documents)}
        # Several hosts may merge one anchor: its fault is one problem.
        raise InventoryError(sorted(dict.fromkeys(problems), key=lambda one: (order[one.file], one.line, one.column)))
    return _fleet(keys)


def default_bridge(prefix: IPv4Network) -> IPv4Interface:
    """Default of `bridge`: the first address of the prefix, in a /24 or in the whole prefix if that is smaller."""
    return IPv4Interface((int(prefix.network_address) + 1, max(24, prefix.prefixlen)))


def default_bridge6(prefix: IPv6Network) -> IPv6Interface:
    """Default of `bridge6`: the first address of the prefix, in a /64 or in the whole prefix if that is smaller."""
    return IPv6Interface((int(prefix.network_address) + 1, max(64, prefix.prefixlen)))


def _problem(document: Document, fault: Invalid) -> Problem:
    return document.problem(fault.path, fault.code, fault.message, at_key=fault.at_key)


def _problem_between(documents: Sequence[Document], fault: Invalid) -> Problem:
    """The fault as a problem; the message locates the other value if it is in another file."""
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
        mark=mesh.mark,
    )


def _host(name: str, keys: HostKeys, shared: Mapping[str, Any], mesh: MeshKeys) -> Host:
    underlay = underlay_of(keys)
    if underlay is None:
        raise AssertionError(f"{name} passed the checks without an underlay address")
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
