"""Which prefixes hosts get that lack one: the lowest free blocks of the pool, in the inventory's order."""

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

_NAMED = 6


@dataclass(frozen=True, slots=True)
class Allocation:
    """A prefix drawn for a host."""

    host: str
    prefix: IPv4Network


def allocate(
    fleet: Fleet, hosts: Iterable[Host], *, file: str, clear_of: Sequence[UsedNetwork] = ()
) -> tuple[Allocation, ...]:
    """A prefix for each of `hosts`, some or all of the fleet's, that has Docker and lacks one; `file` is for messages.

    None overlaps what the inventory records, nor what it shall keep `clear_of`.

    Raises:
        UsageError: there is no pool to draw from, or not enough left in it.
    """
    lacking = [host.name for host in hosts if host.docker and host.prefix is None]
    if not lacking:
        return ()
    pool, length = fleet.settings.pool, fleet.settings.prefix_length
    if pool is None:
        raise UsageError(
            f"{file}: no pool to draw prefixes from: write one under mesh, as in pool: 10.128.0.0/12",
            code=UsageCode.NO_POOL,
        )
    taken = (*_taken(fleet), *(each.network for each in clear_of))
    drawn = tuple(map(Allocation, lacking, free_blocks(pool, length, taken)))
    if left_out := lacking[len(drawn) :]:
        raise UsageError(
            f"{file}: no /{length} is left in the pool {pool} for {len(left_out)} of {len(lacking)} hosts without a "
            f"prefix ({listed(left_out)}): take a wider pool under mesh, or smaller prefixes by a longer prefix_length"
            f"{_besides(clear_of)}",
            code=UsageCode.POOL_EXHAUSTED,
        )
    return drawn


def free_blocks(pool: IPv4Network, length: int, taken: Iterable[Network]) -> Iterator[IPv4Network]:
    """The blocks of `length` in `pool` that overlap none of `taken`, in order of address, as they are asked for.

    `length` is not shorter than the pool's, so that blocks begin at multiples of their size.
    """
    size = 2 ** (32 - length)
    at, pool_end = address_range(pool)
    end = pool_end + 1
    for first, last in [*sorted(map(address_range, taken)), (end, end)]:
        for start in range(at, min(first, end) - size + 1, size):
            yield IPv4Network((start, length))
        at = max(at, (last // size + 1) * size)


def with_prefixes(fleet: Fleet, drawn: Iterable[Allocation]) -> Fleet:
    """The fleet as it is once `drawn` is recorded."""
    prefixes = {each.host: each.prefix for each in drawn}
    return replace(fleet, hosts=tuple(_joined(host, prefixes.get(host.name)) for host in fleet.hosts))


def with_allocations(
    texts: Sequence[str], documents: Sequence[Document], fleet: Fleet, drawn: Iterable[Allocation]
) -> tuple[str, ...]:
    """The inventory's `texts` with `drawn` written into them; `documents` and `fleet` are what was read of them.

    Raises:
        UsageError: no mere insertion makes the texts mean `with_prefixes(fleet, drawn)` and nothing else.
    """
    drawn = tuple(drawn)
    prefixes: dict[str, dict[str, IPv4Network]] = {document.file: {} for document in documents}
    for each in drawn:
        prefixes[document_with(documents, ("hosts", each.host)).file][each.host] = each.prefix
    edited = tuple(
        insert_prefixes(text, document, prefixes[document.file])
        for text, document in zip(texts, documents, strict=True)
    )
    named = ", ".join(file for file, its in prefixes.items() if its)
    try:
        read = [yaml_reader.read(text, file=document.file) for text, document in zip(edited, documents, strict=True)]
        meant = fleet_of(*read, prefixes_required=False)
    except InventoryError as error:
        raise _unfit(named, [problem.message for problem in error.problems]) from error
    if meant != with_prefixes(fleet, drawn):
        raise _unfit(named, ["more would change than the prefixes"])
    return edited


def _taken(fleet: Fleet) -> Iterator[IPv4Network]:
    """What no new prefix may overlap: all that is recorded, and the addresses of the hosts themselves."""
    for host in fleet.hosts:
        yield IPv4Network(host.underlay)
        yield from _literal(host.login.address)
        if host.prefix:
            yield host.prefix
        if host.bridge:
            yield host.bridge.network


def _literal(address: str) -> Iterator[IPv4Network]:
    """The address SSH goes to, unless it is a name."""
    try:
        yield IPv4Network(IPv4Address(address))
    except ValueError:
        return


def _besides(clear_of: Sequence[UsedNetwork]) -> str:
    """Networks of the hosts, where these are what takes the pool up."""
    if not clear_of:
        return ""
    return f"; what the hosts have takes up {listed([each.description for each in clear_of], _NAMED)}"


def _joined(host: Host, prefix: IPv4Network | None) -> Host:
    return replace(host, prefix=prefix, bridge=default_bridge(prefix)) if prefix else host


def _unfit(named: str, reasons: Iterable[str]) -> UsageError:
    return UsageError(
        f"{named} stays as it is, for with the prefixes in it{indented(reasons)}\n"
        "Edit it by hand; allocate without --write shows the prefixes.",
        code=UsageCode.CANNOT_INSERT,
    )
