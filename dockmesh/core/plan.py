"""A plan: the difference of desired and actual, host by host, with the reason of every change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dockmesh.core import daemon
from dockmesh.core.addresses import IPV4, IPV6, order
from dockmesh.core.facts import DAEMON_JSON, ORIGINAL_JSON, REASSERT, HostFacts
from dockmesh.core.model import (
    Bridge,
    Chain,
    File,
    Forwarding,
    HostState,
    Resource,
    Route,
    SourceNat,
    Unit,
    key_of,
    keyed,
)
from dockmesh.core.uplinks import Narrowest

Action = Literal["add", "change", "remove", "restart"]

# The order on the host: Docker reads its file when it restarts, and with nftables does not start where IPv4 is not
# forwarded; DOCKER-USER is there once Docker runs, which sets the policy where it switches forwarding on itself; and
# what puts things back by itself comes when there is something to put back, and goes before that does.
_ORDER = ("gone", "file", "forwarded", "service", "firewall", "nat", "route", "unit", "found")


@dataclass(frozen=True, slots=True)
class Change:
    """One resource before and after; never None on both sides."""

    before: Resource | None
    after: Resource | None
    reason: str = ""

    @property
    def resource(self) -> Resource:
        """The side that is there; the later one where both are."""
        resource = self.after or self.before
        assert resource is not None  # noqa: S101 (the type's own law)
        return resource

    @property
    def action(self) -> Action:
        """What apply does to the resource."""
        if isinstance(self.resource, Bridge):
            return "restart"
        if self.before is None:
            return "add"
        return "remove" if self.after is None else "change"

    def inverse(self) -> "Change":
        """The change that undoes this one."""
        return Change(self.after, self.before, self.reason)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a host must not be changed as it is; `key` names the thing, `message` the cause and the remedy."""

    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """What the mesh does not do for a host, though nothing speaks against changing it."""

    key: str
    message: str


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What apply would do to one host. With conflicts, or an error that kept it from being read, nothing."""

    host: str
    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[Note, ...] = ()
    basis: str = ""
    error: str | None = None
    unreachable: bool = False

    @property
    def applyable(self) -> bool:
        """Whether apply may change this host."""
        return bool(self.changes) and not self.conflicts and self.error is None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a run, hosts in the fleet's order."""

    hosts: tuple[HostPlan, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing is to be changed anywhere."""
        return not any(host.changes for host in self.hosts)

    @property
    def sound(self) -> bool:
        """Whether every host was read and none has a conflict."""
        return not any(host.conflicts or host.error is not None for host in self.hosts)

    @property
    def applyable(self) -> tuple[HostPlan, ...]:
        """The hosts that apply would change."""
        return tuple(host for host in self.hosts if host.applyable)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one host in a run."""

    host: str
    status: Literal["confirmed", "unchanged", "reverted", "refused", "failed", "unreachable"]
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the host is as the plan wanted it."""
        return self.status in {"confirmed", "unchanged"}


def restarts_docker(plan: HostPlan) -> bool:
    """Whether the plan restarts the host's Docker."""
    return any(change.action == "restart" for change in plan.changes)


def difference(actual: HostState, wanted: HostState) -> tuple[Change, ...]:
    """The changes that lead from `actual` to `wanted`, in the order in which a host makes them; no reasons yet."""
    # Most is the same object on both sides; to look at it would take longer than all the rest.
    has, shall = (set(map(id, state.resources)) for state in (actual, wanted))
    before, after = (
        keyed(each for each in actual.resources if id(each) not in shall),
        keyed(each for each in wanted.resources if id(each) not in has),
    )
    keys = before.keys() | after.keys()
    return ordered(Change(before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key))


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes in the order in which a host makes them."""
    return tuple(sorted(changes, key=_rank))


def unmade(changes: Iterable[Change], actual: HostState) -> list[Change]:
    """The changes that `actual`, read after them, does not show."""
    now = actual.by_key()
    return [change for change in changes if now.get(key_of(change.resource)) != change.after]


def plan_host(
    facts: HostFacts,
    wanted: HostState,
    narrow: Narrowest,
    conflicts: Iterable[Conflict] = (),
    notes: Iterable[Note] = (),
) -> HostPlan:
    """The plan of one host that could be read."""
    changes = tuple(
        Change(change.before, change.after, _reason(change, facts, narrow))
        for change in difference(facts.actual, wanted)
    )
    return HostPlan(facts.host, changes, tuple(conflicts), tuple(notes), facts.basis)


def _rank(change: Change) -> tuple[int, tuple[object, ...]]:
    kind, key = key_of(change.resource)
    # What the host was found with is on record before daemon.json changes, and until all else is as it was found.
    if key == ORIGINAL_JSON:
        return (_ORDER.index("found"), ()) if change.after is None else (_ORDER.index("file"), (-1, ""))
    if isinstance(change.resource, Forwarding):
        kind = _forwarding_rank(change.after)
    if isinstance(change.resource, Route):
        # By their numbers, not by their digits.
        return _ORDER.index(kind), order(change.resource.prefix)
    return _ORDER.index("gone" if kind == "unit" and change.after is None else kind), (-1, key)


def _forwarding_rank(after: Resource | None) -> str:
    """Switched on before all that needs it, but for what Docker switches on itself; switched off after it."""
    if not isinstance(after, Forwarding) or not after.on:
        return "found"
    return "forwarded" if after.family == IPV4 else "firewall"


def _reason(change: Change, facts: HostFacts, narrow: Narrowest) -> str:
    match change.resource:
        case Route():
            return _route_reason(change)
        case Chain() as chain:
            return _chain_reason(change, chain)
        case SourceNat():
            return "; ".join(_table_reasons(change))
        case File(path=path):
            return _file_reason(change, path)
        case Unit():
            return "nothing is left to put back" if change.after is None else "puts back what a reboot or flap takes"
        case Bridge():
            return " ".join(_restart_reasons(change, facts, narrow))
        case Forwarding() as switch:
            return _forwarding_reason(switch)


_FILE_REASONS = {
    (ORIGINAL_JSON, False): "keeps what the host was found with, for destroy",
    (REASSERT, False): "routes and rules, for the host to put back by itself",
    (REASSERT, True): "nothing is left to put back",
    (ORIGINAL_JSON, True): "the host is as it was found",
    (DAEMON_JSON, True): "there was none before dockmesh",
}


def _file_reason(change: Change, path: str) -> str:
    match change.before, change.after:
        case before, File() as after if path == DAEMON_JSON:
            return "; ".join(_daemon_reasons(before.text if isinstance(before, File) else None, after.text))
    return _FILE_REASONS[path, change.after is None]


def _daemon_reasons(before: str | None, after: str) -> Iterator[str]:
    addressed = daemon.agreed(before, after, daemon.OWN_KEYS)
    admitting = daemon.agreed(before, after, daemon.NFTABLES_KEYS)
    if not addressed:
        yield "docker0 and new networks need addresses that no peer has"
    if not admitting:
        yield "Docker with nftables lets in what bears a mark"
    if addressed and admitting:
        yield "docker0 and new networks send what every uplink of the mesh takes"


def _route_reason(change: Change) -> str:
    if change.after is None:
        return "the mesh has no such route for this host any more"
    if isinstance(change.before, Route) and isinstance(change.after, Route):
        return f"the peer is now at {change.after.next_hop} dev {change.after.device}"
    return "the peer's containers are reached by its underlay address"


def _chain_reason(change: Change, chain: Chain) -> str:
    if change.after is None:
        return "nothing is left to let in"
    if change.before is not None:
        return "peers, uplinks or the jump to the chain differ"
    if chain.table == "nat":
        return _source_reason(kept=True)
    if chain.family == IPV6 and any(rule.startswith("!") and rule.endswith(" DROP") for rule in chain.rules):
        return "this Docker leaves its containers open to everybody by IPv6: peers get in, and nobody else"
    if chain.table == "raw":
        return "Docker 28 and later drop here what is routed to a container's address"
    return "the forward policy drops what peers send to the prefix"


def _forwarding_reason(switch: Forwarding) -> str:
    if not switch.on:
        return "the host was found so"
    if switch.family == IPV4:
        return "with nftables Docker leaves it to others; what no rule of the host's drops is forwarded then"
    return "Docker forwards the packets of its containers"


def _table_reasons(change: Change) -> Iterator[str]:
    before, after = (side if isinstance(side, SourceNat) else SourceNat() for side in (change.before, change.after))
    marks_alone = (before.prefix, before.peers) == (after.prefix, after.peers)
    if before.marks != after.marks:
        yield "Docker lets in what bears its mark" if after.marks else "nothing is left to let in by its mark"
    if before.marks == after.marks or not marks_alone:
        yield _source_reason(kept=after.prefix is not None)


def _source_reason(*, kept: bool) -> str:
    if not kept:
        return "Docker's masquerade takes over again"
    return "peers see containers' own addresses, which Docker would hide behind the host's"


def _restart_reasons(change: Change, facts: HostFacts, narrow: Narrowest) -> Iterator[str]:
    before = change.before if isinstance(change.before, Bridge) else Bridge(None)
    after = change.after if isinstance(change.after, Bridge) else Bridge(None)
    moves = f"docker0 moves from {before.address or 'no address'} to {after.address or 'no address'}"
    moves6 = f"docker0 moves from {before.address6 or 'no IPv6'} to {after.address6 or 'no IPv6'}"
    pools = "Docker gets other pools for new networks"
    marks = "what Docker lets in by its own rules changes"
    what = [moves] * (before.address != after.address) + [moves6] * (before.address6 != after.address6)
    what += [pools] * (before.pools != after.pools)
    what += [_size_reason(before, after, narrow)] * (before.mtu != after.mtu)
    what += [marks] * (before.admission != after.admission)
    yield f"{', '.join(what[:-1])}{', and ' * (len(what) > 1)}{''.join(what[-1:])}, which takes a restart;"
    running = facts.docker.containers if facts.docker else ()
    kept = [container.name for container in running if not container.auto_remove]
    lost = [container.name for container in running if container.auto_remove]
    yield (f"stops and starts again: {', '.join(kept)}" if kept else "no container is running that would come back")
    if lost:
        yield f"and removes for good, as they run with --rm: {', '.join(lost)}"


def _size_reason(before: Bridge, after: Bridge, narrow: Narrowest) -> str:
    if after.mtu > before.mtu:
        return f"docker0 sends up to {after.mtu} bytes again"
    why = f", as {narrow.device} of {narrow.host} takes no more" if after.mtu == narrow.mtu else ""
    return f"docker0 sends {after.mtu} bytes at most{why}"
