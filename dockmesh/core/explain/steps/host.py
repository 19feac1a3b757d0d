"""Steps within one host: login, Docker, bridge, container, forwarding."""

from collections.abc import Iterator
from shlex import quote

from dockmesh.core.explain.evidence import HostEvidence, apply_command, failed, not_joined, on_host, passed, unknown
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Fault, Step
from dockmesh.core.explain.snapshot import ContainerLink, HostSnapshot
from dockmesh.core.names import DOCKER_BRIDGE


def login(at: HostEvidence, other: HostEvidence, way: Direction) -> Iterator[Step]:
    """Whether the host could be looked at."""
    if at.snapshot is not None:
        yield passed(at, way, Check.LOGIN, "answers")
        return
    error = at.error or "it does not answer"
    if other.snapshot is None or other.snapshot.peer_replied:
        remedy = f"ssh {at.host.login.address}"
        yield failed(at, way, Check.LOGIN, Fault(FaultCode.NO_LOGIN, f"{at.name} cannot be looked at: {error}", remedy))
        return
    cause = f"{at.name} is off the LAN: {other.name} gets no answer from {at.host.underlay}, nor does SSH ({error})"
    yield failed(
        at, way, Check.LOGIN, Fault(FaultCode.LINK_DOWN, cause, f"on the console of {at.name}: ip link; ip addr")
    )


def inside(at: HostEvidence, seen: HostSnapshot, way: Direction, came_in: str | None) -> Iterator[Step]:
    """What serves the end on the host, whichever way packets go; they come in by that interface."""
    yield from docker(at, seen, way)
    yield from bridge(at, seen, way)
    yield from container(at, seen, way)
    yield from forwarding(at, seen, way, came_in)


def docker(at: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Whether Docker runs, and which generation of it."""
    if not at.host.docker:
        return
    if seen.docker == "stopped":
        fault = Fault(
            FaultCode.DOCKER_STOPPED, f"Docker is not running on {at.name}", on_host(at, "systemctl start docker")
        )
        yield failed(at, way, Check.DOCKER, fault)
    elif seen.docker == "absent":
        cause = f"Docker is not installed on {at.name}, and the inventory says nothing of that"
        yield failed(
            at, way, Check.DOCKER, Fault(FaultCode.NO_DOCKER, cause, f"docker: false for {at.name} in the inventory")
        )
    else:
        yield passed(at, way, Check.DOCKER, seen.docker)


def bridge(at: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Whether the bridge is there, switched on, and has its address."""
    if at.endpoint.container is not None and at.bridge != DOCKER_BRIDGE:
        yield from _other_bridge(at, seen, way)
        return
    if at.host.bridge is None:
        return
    link = seen.links.get(DOCKER_BRIDGE)
    has = [address for device, address in seen.addresses if device == DOCKER_BRIDGE]
    if link is None:
        fault = Fault(FaultCode.BRIDGE_MISSING, f"{at.name} has no docker0", on_host(at, "systemctl restart docker"))
    elif not link.up:
        fault = Fault(
            FaultCode.LINK_DOWN, f"docker0 of {at.name} is down", on_host(at, f"ip link set {DOCKER_BRIDGE} up")
        )
    elif at.host.bridge not in has and not at.joined:
        fault = not_joined(at)
    elif at.host.bridge not in has:
        is_now = ", ".join(map(str, has)) or "without address"
        cause = f"docker0 of {at.name} is {is_now}, not {at.host.bridge} as in the inventory"
        fault = Fault(FaultCode.BRIDGE_ADDRESS_WRONG, cause, apply_command(at))
    else:
        yield passed(at, way, Check.BRIDGE, f"{DOCKER_BRIDGE} {at.host.bridge}")
        return
    yield failed(at, way, Check.BRIDGE, fault)


def _other_bridge(at: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    link = seen.links.get(at.bridge or "")
    if link is None:
        yield unknown(at, way, Check.BRIDGE, f"the container on {at.name} is in no bridge of the host")
    elif not link.up:
        cause = f"{link.name} of {at.name} is down"
        yield failed(
            at, way, Check.BRIDGE, Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip link set {quote(link.name)} up"))
        )
    else:
        yield passed(at, way, Check.BRIDGE, link.name)


def container(at: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Whether there is an end on the host, with a leg in the bridge and a way out of the container."""
    if at.missing is not None:
        cause = f"there is nothing to reach on {at.name}: {at.missing}"
        yield failed(at, way, Check.CONTAINER, Fault(FaultCode.NO_CONTAINER, cause, on_host(at, "docker ps --all")))
    elif not at.pid:
        yield passed(at, way, Check.CONTAINER, f"{at.address} is the host's own")
    elif seen.container_link is None:
        yield unknown(at, way, Check.CONTAINER, f"{at.address} is on no interface of the container any more")
    elif fault := _leg_fault(at, seen, seen.container_link):
        yield failed(at, way, Check.CONTAINER, fault)
    else:
        yield passed(at, way, Check.CONTAINER, f"{at.address}, default route via {seen.container_link.gateway}")


def _leg_fault(at: HostEvidence, seen: HostSnapshot, leg: ContainerLink) -> Fault | None:
    inside = f"nsenter --target {at.pid} --net ip"
    other = next((link for link in seen.links.values() if link.number == leg.link.other), None)
    if not leg.link.up:
        cause = f"{leg.link.name} of the container {at.address} on {at.name} is down"
        return Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"{inside} link set {quote(leg.link.name)} up"))
    if other is not None and not other.up:
        cause = f"{other.name} of {at.name}, the leg of the container {at.address} in {leg.bridge}, is down"
        return Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip link set {quote(other.name)} up"))
    here = next(
        (each.ip for device, each in seen.addresses if device == leg.bridge and at.address in each.network), None
    )
    if here is not None and leg.gateway != here:
        has = f"has its default route via {leg.gateway}, not" if leg.gateway else "has no default route; it should be"
        cause = f"the container {at.address} on {at.name} {has} via {here}"
        return Fault(
            FaultCode.CONTAINER_WITHOUT_DEFAULT_ROUTE, cause, on_host(at, f"{inside} route replace default via {here}")
        )
    return None


def forwarding(at: HostEvidence, seen: HostSnapshot, way: Direction, came_in: str | None) -> Iterator[Step]:
    """Whether the host forwards what comes in by an interface."""
    if not at.pid:
        return
    here = seen.sysctls.get(came_in or "")
    if "all" in seen.sysctls and not seen.sysctls["all"].forwarding:
        cause = f"{at.name} forwards nothing: net.ipv4.ip_forward is 0"
        yield failed(
            at,
            way,
            Check.FORWARDING,
            Fault(FaultCode.IP_FORWARD_OFF, cause, on_host(at, "sysctl -w net.ipv4.ip_forward=1")),
        )
    elif here is not None and not here.forwarding:
        key = f"net.ipv4.conf.{came_in}.forwarding"
        cause = f"{at.name} forwards nothing that comes in by {came_in}: {key} is 0"
        yield failed(
            at, way, Check.FORWARDING, Fault(FaultCode.IP_FORWARD_OFF, cause, on_host(at, f"sysctl -w {key}=1"))
        )
    else:
        yield passed(at, way, Check.FORWARDING, "ip_forward is 1")
