"""The variants that the benchmark compares: what the two hosts have while traffic passes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dockmesh.core.state.nft_table import parse_table
from dockmesh.core.state.resources import HostState, NftTable, Route
from dockmesh.core.state.steps import with_input
from dockmesh.lab.network import NIC
from dockmesh.lab.running import Lab
from tests.bench.data.pair import TABLES, End, Pair
from tests.large_fleet import PRELUDE, checked_steps, fleet_with, states

LIMIT, MESH, PER_PEER, HOST, VXLAN = "limit", "dockmesh", "rule-per-peer", "host-to-host", "vxlan"
_DEVICE, _NETWORK = "bench-vxlan", "198.18.0"
_NO_TABLE = "remove_nft_table ip || exit"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant with the script that each host runs to get it, by host name; `peers` is None without peers."""

    name: str
    peers: int | None
    scripts: Mapping[str, str]

    def __str__(self) -> str:
        return self.name if self.peers is None else f"{self.name} {self.peers}"

    def put(self, lab: Lab) -> None:
        """Change the hosts to this variant. Each table of iptables and of nft changes atomically."""
        for name, script in self.scripts.items():
            lab.run(name, ("sh", "-s"), text=script, check=True)


def variants(pair: Pair, peers: Sequence[int], containers: int, *, per_peer: bool) -> tuple[Variant, ...]:
    """All variants, the limit first. Adds a VXLAN device to the hosts."""
    inventory = pair.lab.inventory.read_text(encoding="utf-8")
    alone, *fleets = (states(pair.lab, fleet_with(inventory, number)) for number in (1, *peers))
    limit = {end.host.name: _limit(end, peer, alone, containers) for end, peer in pair.ends}
    found = [Variant(LIMIT, None, limit), Variant(HOST, None, limit), _vxlan(pair, limit)]
    for number, wanted in zip(peers, fleets, strict=True):
        mesh = {end.host.name: _mesh(end, wanted[end.host.name], containers) for end, _peer in pair.ends}
        found.append(Variant(MESH, number, mesh))
        _check(pair.lab, found[-1], wanted)
        if per_peer:
            before = {end.host.name: _per_peer(end, peer, wanted, containers) for end, peer in pair.ends}
            found.append(Variant(PER_PEER, number, before))
    return tuple(found)


def _check(lab: Lab, variant: Variant, wanted: Mapping[str, HostState]) -> None:
    """Check that the hosts have the table that dockmesh wants, so that the figures are its own."""
    variant.put(lab)
    for name, state in wanted.items():
        table = next(iter(state.of(NftTable)))
        listed = lab.run(name, ("nft", "-s", "list", "table", "ip", "dockmesh"), check=True).stdout
        if parse_table(listed.splitlines(), table.family) != table:
            raise SystemExit(f"{name}: its nft table is not the one of {variant}:\n{listed[:2000]}")


def _mesh(end: End, state: HostState, containers: int) -> str:
    """The rules and routes of dockmesh, by its own steps, beside Docker's rules."""
    return _script(end, end.raw_drops(containers), {}, checked_steps(state))


def _limit(end: End, peer: End, alone: Mapping[str, HostState], containers: int) -> str:
    """One accept per table. That of nat, which only the first packet of a connection meets, prevents masquerading."""
    accepts = {
        "raw": (f"-A PREROUTING -d {end.host.prefix} -j ACCEPT",),
        "filter": (f"-A DOCKER-USER -d {end.host.prefix} -j ACCEPT",),
        "nat": _no_masquerade(peer),
    }
    return _script(end, end.raw_drops(containers), accepts, (_NO_TABLE, *_routes(alone[end.host.name])))


def _vxlan(pair: Pair, limit: Mapping[str, str]) -> Variant:
    """The rules of the limit, and a route through a VXLAN device that goes before that of dockmesh."""
    scripts = {}
    for end, peer in pair.ends:
        pair.lab.run(end.host.name, ("sh", "-e", "-c", "\n".join(_vxlan_device(end, peer))), check=True)
        route = f"ip route replace {peer.host.prefix} via {_tunnel(peer)} dev {_DEVICE} metric 1 || exit\n"
        scripts[end.host.name] = limit[end.host.name] + route
    return Variant(VXLAN, None, scripts)


def _per_peer(end: End, peer: End, wanted: Mapping[str, HostState], containers: int) -> str:
    """An accept for each address and prefix of a peer, in raw and in filter. The measured peer is in the middle."""
    state = wanted[end.host.name]
    own = {f"{peer.host.underlay.ip}/32", str(peer.host.prefix)}
    others = [text for each in next(iter(state.of(NftTable))).networks if (text := str(each)) not in own]
    middle = len(others) // 2
    sources = (*others[:middle], *sorted(own), *others[middle:])
    lines = {
        "raw": tuple(_chain("BENCH-RAW", "PREROUTING", end, sources)),
        "filter": tuple(_chain("BENCH-FORWARD", "DOCKER-USER", end, sources)),
        "nat": _no_masquerade(peer),
    }
    return _script(end, end.raw_drops(containers), lines, (_NO_TABLE, *_routes(state)))


def _chain(name: str, hook: str, end: End, sources: Sequence[str]) -> Iterator[str]:
    yield f":{name} - [0:0]"
    yield f"-A {hook} -j {name}"
    yield f"-A {name} ! -d {end.host.prefix} -j RETURN"
    yield from (f"-A {name} -s {each} -i {NIC} -j ACCEPT" for each in sources)


def _no_masquerade(peer: End) -> tuple[str, ...]:
    return (f"-A POSTROUTING -d {peer.host.prefix} -j ACCEPT",)


def _routes(state: HostState) -> Iterator[str]:
    return checked_steps(HostState(state.of(Route)))


def _script(
    end: End, drops: Sequence[str], first: Mapping[str, Sequence[str]], steps: Iterator[str] | Sequence[str]
) -> str:
    """The script that restores Docker's tables, with further raw drops and with rules before all others."""
    texts = (
        _with_rules(text, first.get(table, ()), drops if table == "raw" else ())
        for table, text in zip(TABLES, end.tables, strict=True)
    )
    restore = with_input("iptables-restore -w 10", "".join(texts))
    flush = (f"ip -4 route flush dev {_DEVICE} metric 1 || exit", "ip -4 route flush proto 201 || exit")
    return "\n".join((PRELUDE, f"{restore} || exit", *flush, *steps, ""))


def _with_rules(text: str, first: Sequence[str], last: Sequence[str]) -> str:
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("-A ") or line == "COMMIT")
    return "".join(f"{line}\n" for line in (*lines[:start], *first, *lines[start:-1], *last, lines[-1]))


def _vxlan_device(end: End, peer: End) -> Iterator[str]:
    yield f"ip link show dev {_DEVICE} >/dev/null 2>&1 && exit"
    yield (
        f"ip link add {_DEVICE} type vxlan id 42 dstport 4789 nolearning dev {NIC} "
        f"local {end.host.underlay.ip} remote {peer.host.underlay.ip}"
    )
    yield f"ip address add {_tunnel(end)}/24 dev {_DEVICE}"
    yield f"ip link set {_DEVICE} up"


def _tunnel(end: End) -> str:
    return f"{_NETWORK}.{str(end.host.underlay.ip).rsplit('.', 1)[1]}"
