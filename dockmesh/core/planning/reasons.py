"""The reason of each change, as `plan -v` prints it."""

from collections.abc import Iterator

from dockmesh.core.addresses import IPV4
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT, REVERTED_RECORD
from dockmesh.core.planning.stopped_containers import StoppedContainers
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    NftTable,
    Route,
    StrayRoute,
    Unit,
)


def reason(change: Change, stopped: StoppedContainers, smallest: SmallestUplink) -> str:
    """The reason of a change; that of a restart also lists the affected containers."""
    match change.resource:
        case Route():
            return _route_reason(change)
        case StrayRoute():
            return "it has dockmesh's protocol and metric, but dockmesh does not write such a route"
        case AcceptRules() as rules:
            return _accept_reason(change, rules)
        case NftTable():
            return _table_reason(change)
        case File(path=path):
            return _file_reason(change, path)
        case Unit():
            return (
                _NOTHING_TO_RESTORE if change.after is None else "restores routes and rules after a reboot or link flap"
            )
        case DockerNetworking():
            return "; ".join(_restart_reasons(change, stopped, smallest))
        case Forwarding() as forwarding:
            return _forwarding_reason(forwarding)


_NOTHING_TO_RESTORE = "no routes or rules are left to restore"
# By path, and whether the file is removed.
_FILE_REASONS = {
    (ORIGINAL_JSON, False): "records the original state, for destroy",
    (REASSERT_SCRIPT, False): "lets the host restore its routes and rules",
    (REASSERT_SCRIPT, True): _NOTHING_TO_RESTORE,
    (ORIGINAL_JSON, True): "the host is back in its original state",
    (DAEMON_JSON, True): "the file did not exist before dockmesh",
    (REVERTED_RECORD, True): "the record of a revert ends with the next change",
}


def _file_reason(change: Change, path: str) -> str:
    match change.before, change.after:
        case before, File() as after if path == DAEMON_JSON:
            return "; ".join(_daemon_reasons(before.text if isinstance(before, File) else None, after.text))
    return _FILE_REASONS[path, change.after is None]


def _daemon_reasons(before: str | None, after: str) -> Iterator[str]:
    same_addresses = daemon_json.same_values(before, after, daemon_json.OWN_KEYS)
    same_admission = daemon_json.same_values(before, after, daemon_json.NFTABLES_KEYS)
    if not same_addresses:
        yield "docker0 and new networks need addresses that no peer uses"
    if not same_admission:
        yield "Docker with nftables accepts routed packets only with a mark"
    if same_addresses and same_admission:
        yield "docker0 and new networks need an MTU that fits every uplink of the mesh"


def _route_reason(change: Change) -> str:
    if change.after is None:
        return "the mesh no longer needs this route"
    if isinstance(change.before, Route) and isinstance(change.after, Route):
        return f"the next hop is now {change.after.next_hop} dev {change.after.device}"
    return "the peer forwards packets to its containers"


def _accept_reason(change: Change, rules: AcceptRules) -> str:
    if change.after is None:
        return "the host no longer needs this rule"
    if isinstance(change.before, AcceptRules):
        return "the prefix or the mark changed" if change.before.first else "rules of others come before the rule"
    if rules.table == "raw":
        return "Docker 28 and later drop packets that are routed to a container"
    return "the FORWARD policy drops packets from peers"


def _table_reason(change: Change) -> str:
    before, after = change.before, change.after
    if not isinstance(after, NftTable):
        return "the host no longer marks packets from peers"
    if not isinstance(before, NftTable):
        return "marks packets from peers, which the firewall then accepts"
    return "the peers changed" if before.chains == after.chains else "the rules for peers changed"


def _forwarding_reason(forwarding: Forwarding) -> str:
    if not forwarding.on:
        return "the host did not forward before dockmesh"
    if forwarding.family == IPV4:
        return "Docker with nftables does not enable it; the host then forwards all packets that no rule drops"
    return "Docker enables it for its containers"


def _restart_reasons(change: Change, stopped: StoppedContainers, smallest: SmallestUplink) -> Iterator[str]:
    before = change.before if isinstance(change.before, DockerNetworking) else DockerNetworking(None)
    after = change.after if isinstance(change.after, DockerNetworking) else DockerNetworking(None)
    moves = f"docker0 moves from {before.address or 'no address'} to {after.address or 'no address'}"
    moves6 = f"docker0 moves from {before.address6 or 'no IPv6'} to {after.address6 or 'no IPv6'}"
    pools = "new networks use other address pools"
    marks = "Docker's own rules for routed packets change"
    effects = [moves] * (before.address != after.address) + [moves6] * (before.address6 != after.address6)
    effects += [pools] * (before.pools != after.pools)
    effects += [_size_reason(before, after, smallest)] * (before.mtu != after.mtu)
    effects += [marks] * (before.admission != after.admission)
    yield f"{', '.join(effects[:-1])}{', and ' * (len(effects) > 1)}{''.join(effects[-1:])}, so Docker restarts"
    restarted = ", ".join(stopped.restarted)
    yield f"containers stopped and started: {restarted}" if restarted else "no container is restarted"
    if stopped.removed:
        yield f"containers removed for good (--rm): {', '.join(stopped.removed)}"
    if stopped.not_started:
        yield f"containers that stay stopped, because they need a removed one: {', '.join(stopped.not_started)}"


def _size_reason(before: DockerNetworking, after: DockerNetworking, smallest: SmallestUplink) -> str:
    if after.mtu > before.mtu:
        return f"the MTU of docker0 rises to {after.mtu}"
    source = f", the MTU of {smallest.device} on {smallest.host}" if after.mtu == smallest.mtu else ""
    return f"the MTU of docker0 falls to {after.mtu}{source}"
