"""Allocation of prefixes: hosts without one get the lowest free blocks of the pool, in the order of the inventory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from dockmesh.core.addresses import Network, address_range
from dockmesh.core.allocation.used_networks import UsedNetwork
from dockmesh.core.inventory import default_bridge, fleet_of, yaml_reader
from dockmesh.core.inventory.edit import insert_prefixes
from dockmesh.core.inventory.multi_file import document_with
from dockmesh.core.inventory.yaml_document import Document
from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import indented, listed
from dockmesh.error_codes import UsageCode
from dockmesh.errors import InventoryError, UsageError

_MAX_LISTED = 6


@dataclass(frozen=True, slots=True)
class Allocation:
    """A prefix drawn for a host."""

    host: str
    prefix: IPv4Network


def allocate(
    fleet: Fleet, hosts: Iterable[Host], *, file: str, clear_of: Sequence[UsedNetwork] = ()
) -> tuple[Allocation, ...]:
    """Draw a prefix for each of `hosts` that has Docker and no prefix; `file` is for messages.

    A new prefix overlaps neither the networks of the inventory nor those of `clear_of`.

    Raises:
        UsageError: the mesh has no pool, or the pool has too few free blocks.
    """
    without_prefix = [host.name for host in hosts if host.docker and host.prefix is None]
    if not without_prefix:
        return ()
    pool, length = fleet.settings.pool, fleet.settings.prefix_length
    if pool is None:
        raise UsageError(
            f"{file}: no pool to draw prefixes from. Fix: add one under mesh, for example pool: 10.128.0.0/12",
            code=UsageCode.NO_POOL,
        )
    taken = (*_taken(fleet), *(each.network for each in clear_of))
    drawn = tuple(map(Allocation, without_prefix, free_blocks(pool, length, taken)))
    if left_out := without_prefix[len(drawn) :]:
        raise UsageError(
            f"{file}: the pool {pool} has no /{length} left for {len(left_out)} of {len(without_prefix)} hosts without "
            f"a prefix ({listed(left_out)}){_used(clear_of)}. "
            "Fix: set a wider pool or a longer prefix_length under mesh",
            code=UsageCode.POOL_EXHAUSTED,
        )
    return drawn


def free_blocks(pool: IPv4Network, length: int, taken: Iterable[Network]) -> Iterator[IPv4Network]:
    """Generate the blocks of `length` in `pool` that overlap none of `taken`, in order of address.

    `length` must not be shorter than that of the pool, so that blocks start at multiples of their size.
    """
    size = 2 ** (32 - length)
    at, pool_end = address_range(pool)
    end = pool_end + 1
    for first, last in [*sorted(map(address_range, taken)), (end, end)]:
        for start in range(at, min(first, end) - size + 1, size):
            yield IPv4Network((start, length))
        at = max(at, (last // size + 1) * size)


def with_prefixes(fleet: Fleet, drawn: Iterable[Allocation]) -> Fleet:
    """The fleet with the allocated prefixes."""
    prefixes = {each.host: each.prefix for each in drawn}
    return replace(fleet, hosts=tuple(_with_prefix(host, prefixes.get(host.name)) for host in fleet.hosts))


def with_allocations(
    texts: Sequence[str], documents: Sequence[Document], fleet: Fleet, drawn: Iterable[Allocation]
) -> tuple[str, ...]:
    """Insert the allocated prefixes into the inventory's `texts`, from which `documents` and `fleet` were read.

    Raises:
        UsageError: an insertion cannot produce exactly `with_prefixes(fleet, drawn)`.
    """
    drawn = tuple(drawn)
    prefixes: dict[str, dict[str, IPv4Network]] = {document.file: {} for document in documents}
    for each in drawn:
        prefixes[document_with(documents, ("hosts", each.host)).file][each.host] = each.prefix
    edited = tuple(
        insert_prefixes(text, document, prefixes[document.file])
        for text, document in zip(texts, documents, strict=True)
    )
    files = ", ".join(file for file, inserted in prefixes.items() if inserted)
    try:
        read = [yaml_reader.read(text, file=document.file) for text, document in zip(edited, documents, strict=True)]
        edited_fleet = fleet_of(*read, prefixes_required=False)
    except InventoryError as error:
        raise _cannot_insert(files, [problem.message for problem in error.problems]) from error
    if edited_fleet != with_prefixes(fleet, drawn):
        raise _cannot_insert(files, ["more than the prefixes would change"])
    return edited


def _taken(fleet: Fleet) -> Iterator[IPv4Network]:
    """The networks of the inventory that no new prefix may overlap: prefixes, bridges and the hosts' own addresses."""
    for host in fleet.hosts:
        yield IPv4Network(host.underlay)
        yield from _literal(host.login.address)
        if host.prefix:
            yield host.prefix
        if host.bridge:
            yield host.bridge.network


def _literal(address: str) -> Iterator[IPv4Network]:
    """The SSH address as a network; nothing if it is a name."""
    try:
        yield IPv4Network(IPv4Address(address))
    except ValueError:
        return


def _used(clear_of: Sequence[UsedNetwork]) -> str:
    """The networks of the hosts that take space in the pool, for the message."""
    if not clear_of:
        return ""
    return f"; the hosts already use {listed([each.description for each in clear_of], _MAX_LISTED)}"


def _with_prefix(host: Host, prefix: IPv4Network | None) -> Host:
    return replace(host, prefix=prefix, bridge=default_bridge(prefix)) if prefix else host


def _cannot_insert(files: str, reasons: Iterable[str]) -> UsageError:
    return UsageError(
        f"{files}: the prefixes cannot be inserted, so the inventory is unchanged:{indented(reasons)}\n"
        "Fix: run 'dockmesh allocate' without --write and add the prefixes by hand.",
        code=UsageCode.CANNOT_INSERT,
    )
