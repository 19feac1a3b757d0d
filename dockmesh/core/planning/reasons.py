"""Why a host is to change, in words for the admin who is asked."""

from collections.abc import Iterator

from dockmesh.core.addresses import IPV4, IPV6
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import Chain, DockerNetworking, File, Forwarding, Route, SourceNat, Unit


def reason(change: Change, facts: HostFacts, narrow: SmallestUplink) -> str:
    """The reason of a change, and what else the host and its containers have of it."""
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
        case DockerNetworking():
            return " ".join(_restart_reasons(change, facts, narrow))
        case Forwarding() as switch:
            return _forwarding_reason(switch)


_FILE_REASONS = {
    (ORIGINAL_JSON, False): "keeps what the host was found with, for destroy",
    (REASSERT_SCRIPT, False): "routes and rules, for the host to put back by itself",
    (REASSERT_SCRIPT, True): "nothing is left to put back",
    (ORIGINAL_JSON, True): "the host is as it was found",
    (DAEMON_JSON, True): "there was none before dockmesh",
}


def _file_reason(change: Change, path: str) -> str:
    match change.before, change.after:
        case before, File() as after if path == DAEMON_JSON:
            return "; ".join(_daemon_reasons(before.text if isinstance(before, File) else None, after.text))
    return _FILE_REASONS[path, change.after is None]


def _daemon_reasons(before: str | None, after: str) -> Iterator[str]:
    addressed = daemon_json.same_values(before, after, daemon_json.OWN_KEYS)
    admitting = daemon_json.same_values(before, after, daemon_json.NFTABLES_KEYS)
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


def _restart_reasons(change: Change, facts: HostFacts, narrow: SmallestUplink) -> Iterator[str]:
    before = change.before if isinstance(change.before, DockerNetworking) else DockerNetworking(None)
    after = change.after if isinstance(change.after, DockerNetworking) else DockerNetworking(None)
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


def _size_reason(before: DockerNetworking, after: DockerNetworking, narrow: SmallestUplink) -> str:
    if after.mtu > before.mtu:
        return f"docker0 sends up to {after.mtu} bytes again"
    why = f", as {narrow.device} of {narrow.host} takes no more" if after.mtu == narrow.mtu else ""
    return f"docker0 sends {after.mtu} bytes at most{why}"
