"""What speaks against changing a host, found before anything is touched: every reason, with its remedy."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from dockmesh.core import daemon
from dockmesh.core.facts import DAEMON_JSON, DOCKER_BRIDGE, METRIC, DockerFacts, HostFacts, KernelRoute
from dockmesh.core.model import Fleet, Host
from dockmesh.core.plan import Conflict, Note
from dockmesh.core.routing import peers

# OpenVPN's redirect-gateway and its like: 0.0.0.0/1 and 128.0.0.0/1 stand for the default route.
_HALF_DEFAULT = 1


def conflicts(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Every conflict of `host`, in a stable order."""
    yield from _underlay(host, facts)
    yield from _next_hops(fleet, host, facts)
    yield from _networks(fleet, host, facts)
    yield from _foreign_routes(fleet, host, facts)
    if facts.docker:
        yield from _docker(facts, facts.docker)
    elif host.prefix and not facts.ip_forward:
        yield Conflict("ip_forward", f"is 0, so {host.prefix} cannot be reached: sysctl -w net.ipv4.ip_forward=1")


def notes(host: Host, facts: HostFacts) -> Iterator[Note]:
    """What of the host stays outside the mesh, or is left to its admin."""
    if host.prefix and not host.docker and "iptables" not in facts.tools:
        yield Note("iptables", "is not installed: if the host's firewall drops what it forwards, let the peers in")
    for network in facts.docker.networks if facts.docker else ():
        for prefix in network.prefixes:
            if host.prefix and network.device != DOCKER_BRIDGE and not prefix.subnet_of(host.prefix):
                yield Note(
                    f"network {network.name}",
                    f"({prefix}) is outside {host.prefix}, so peers cannot reach it: {_remedy(host)}",
                )


def _remedy(host: Host) -> str:
    if host.bridge and host.bridge.network == host.prefix:
        return "docker0 takes all of that; give it a bridge of its own that leaves room, and make the network anew"
    return "make it anew, and Docker gives it a prefix of the host's (with Compose: down, then up)"


def pending(facts: HostFacts) -> Iterator[Conflict]:
    """What speaks against any change, wherever it leads."""
    if facts.pending is not None:
        yield Conflict(
            "/etc/dockmesh/pending",
            f"a change waits for its confirmation, by {facts.pending}: wait; if that run has died, the host takes "
            "the change back by itself within minutes",
        )


def _underlay(host: Host, facts: HostFacts) -> Iterator[Conflict]:
    if all(address.ip != host.underlay for _device, address in facts.addresses):
        yield Conflict(
            str(host.underlay),
            "is on no interface of the host, so peers cannot use it as next hop: set underlay to the host's address",
        )


def _next_hops(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    for peer in peers(fleet, host):
        way = facts.ways.get(peer.underlay)
        key = str(peer.underlay)
        if way is None:
            yield Conflict(key, f"the kernel knows no way to {peer.name}: both hosts need an address in one LAN")
        elif way.local:
            yield Conflict(key, f"is the underlay of {peer.name} but an address of this host: mend the inventory")
        elif way.next_hop is not None and peer.prefix:
            yield Conflict(
                key,
                f"the underlay of {peer.name} is off-link (via {way.next_hop} dev {way.device}), and a next hop must "
                f"be on-link: give both hosts an underlay address in one LAN, or put the route to {peer.prefix} on "
                f"{way.next_hop}",
            )


def _networks(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Networks the host is itself in; docker0 moves out of the way, other Docker networks do not."""
    docker_networks = facts.docker.networks if facts.docker else ()
    docker_devices = {DOCKER_BRIDGE, *(network.device for network in docker_networks)}
    here = [
        (f"{address.network} on {device}", address.network)
        for device, address in facts.addresses
        if not (host.docker and device in docker_devices)
        and not (not host.docker and host.prefix and address.network.subnet_of(host.prefix))
    ]
    docker = [
        (f"Docker network {network.name} ({prefix})", prefix)
        for network in docker_networks
        if network.device != DOCKER_BRIDGE
        for prefix in network.prefixes
    ]
    for peer in peers(fleet, host):
        if peer.prefix:
            yield from _overlaps(peer.prefix, f"prefix of {peer.name}", [*here, *docker])
    if host.prefix:
        yield from _overlaps(host.prefix, "the host's own prefix", here)
    if host.bridge:
        yield from _overlaps(host.bridge.network, "the network of docker0", docker)


def _overlaps(prefix: IPv4Network, whose: str, there: list[tuple[str, IPv4Network]]) -> Iterator[Conflict]:
    for name, network in there:
        if prefix.overlaps(network):
            yield Conflict(
                str(prefix),
                f"{whose} overlaps {name}: choose another prefix, or remove or move what is there",
            )


def _foreign_routes(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Routes of others within a peer's prefix: more specific, or as specific with a metric that wins."""
    for peer in peers(fleet, host):
        if not peer.prefix:
            continue
        for route in facts.foreign_routes:
            if route.protocol == "kernel":
                continue
            if _wins(route, peer.prefix):
                yield Conflict(
                    str(peer.prefix),
                    f"a foreign route ({_told(route)}) would win over the one to {peer.name}: "
                    f"ip route del {route.prefix} metric {route.metric}",
                )
            elif _loses(route, peer.prefix):
                yield Conflict(
                    str(peer.prefix),
                    f"the prefix of {peer.name} lies in a network of others, a VPN's perhaps ({_told(route)}): "
                    f"choose another prefix, or narrow that route",
                )


def _told(route: KernelRoute) -> str:
    via = f" via {route.next_hop}" if route.next_hop else ""
    device = f" dev {route.device}" if route.device else ""
    return f"{route.prefix}{via}{device}, proto {route.protocol}, metric {route.metric}"


def _wins(route: KernelRoute, prefix: IPv4Network) -> bool:
    if route.prefix == prefix:
        return route.metric <= METRIC
    return route.prefix.subnet_of(prefix)


def _loses(route: KernelRoute, prefix: IPv4Network) -> bool:
    """Whether the mesh would take addresses that the host has on-link; a default route, or half of one, has none."""
    on_link = route.device is not None and route.next_hop is None
    return on_link and route.prefix.prefixlen > _HALF_DEFAULT and prefix.subnet_of(route.prefix)


def _docker(facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    if docker.rootless:
        yield Conflict("docker", "is rootless: its networks are no networks of the host; use the system's Docker")
    if docker.swarm:
        yield Conflict("docker", "is in a swarm, which moves containers as Docker restarts: leave it, or docker: false")
    if not docker.firewall_backend.startswith("iptables"):
        yield Conflict("docker", f"uses the firewall backend {docker.firewall_backend}, which is not supported yet")
    yield from _flags(docker)
    yield from _daemon_json(facts, docker)


def _flags(docker: DockerFacts) -> Iterator[Conflict]:
    flags = {argument.split("=")[0]: argument for argument in docker.arguments}
    for flag in ("--bip", "--default-address-pool", "--bridge", "-b", "--iptables"):
        if flag in flags and flags[flag] != "--iptables=true":
            yield Conflict(
                "docker",
                f"dockerd is started with {flags[flag]}, which daemon.json cannot override: take the flag out of "
                f"{docker.fragment or 'its unit'} or its drop-ins",
            )
    elsewhere = _value_of("--config-file", docker.arguments)
    if elsewhere not in {None, DAEMON_JSON}:
        yield Conflict(
            "docker", f"reads its configuration from {elsewhere}: take --config-file out, and move it to {DAEMON_JSON}"
        )


def _daemon_json(facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    file = facts.file(DAEMON_JSON)
    try:
        keys = daemon.load(file.text if file else None)
    except daemon.DaemonJsonError as error:
        yield Conflict(DAEMON_JSON, f"{error}: mend it, dockmesh keeps what is not its own")
        return
    if "bridge" in keys:
        yield Conflict(DAEMON_JSON, f"sets bridge to {keys['bridge']!r}, which excludes bip: take the key out")
    if keys.get("iptables") is False:
        yield Conflict(DAEMON_JSON, "sets iptables to false: Docker then keeps no DOCKER-USER; take the key out")
    elif not facts.docker_user and docker.firewall_backend.startswith("iptables"):
        yield Conflict("DOCKER-USER", "is gone, and Docker's other rules with it: systemctl restart docker")


def _value_of(flag: str, arguments: Sequence[str]) -> str | None:
    """What a flag is set to: in the same argument behind `=`, or in the next one."""
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == flag:
            return value if equals else "".join(arguments[at + 1 : at + 2])
    return None
