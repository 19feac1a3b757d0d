"""Steps on one host: login, Docker, bridge, container, forwarding."""

from collections.abc import Iterator
from shlex import quote

from dockmesh.core.explain.evidence import HostEvidence, apply_command, failed, not_joined, on_host, passed, unknown
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Fault, Step
from dockmesh.core.explain.snapshot import ContainerLink, HostSnapshot
from dockmesh.core.model import Login
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure

# A host off the LAN can cause these errors. Any other error shows that the host replied or that this machine failed.
_SILENT = {
    HostErrorCode.UNREACHABLE,
    HostErrorCode.CONNECT_TIMEOUT,
    HostErrorCode.SSH_SILENT,
    HostErrorCode.SESSION_LOST,
    HostErrorCode.TIMEOUT,
}
_AFTER_LOGIN = {
    HostErrorCode.SESSION_LOST,
    HostErrorCode.TIMEOUT,
    HostErrorCode.ANSWER_TOO_LARGE,
    HostErrorCode.ANSWER_INCOMPLETE,
    HostErrorCode.ANSWER_UNREADABLE,
    HostErrorCode.SUDO_PASSWORD,
    HostErrorCode.SUDO_PASSWORD_WRONG,
    HostErrorCode.SUDO_REFUSED,
    HostErrorCode.NOT_ROOT,
}


def login(at: HostEvidence, other: HostEvidence, direction: Direction) -> Iterator[Step]:
    """Check that the host could be read."""
    if at.snapshot is not None:
        yield passed(at, direction, Check.LOGIN, "logged in")
        return
    error = at.error or HostFailure(HostErrorCode.UNREACHABLE, "it did not reply")
    silent = error.code in _SILENT
    if other.snapshot is None or other.snapshot.peer_replied or not silent:
        yield failed(at, direction, Check.LOGIN, _no_login(at, error))
        return
    cause = f"{at.name} is off the LAN: neither {other.name} nor SSH gets a reply from {at.host.underlay} ({error})"
    yield failed(
        at, direction, Check.LOGIN, Fault(FaultCode.LINK_DOWN, cause, f"on the console of {at.name}: ip link; ip addr")
    )


def _no_login(at: HostEvidence, error: HostFailure) -> Fault:
    login = at.host.login
    user = f"user {login.user}" if login.user else "default user"
    port = f"port {login.port}" if login.port else "default port"
    key = f"key {login.identity_file}" if login.identity_file else "default keys"
    failed_work = "reading" if error.code in _AFTER_LOGIN else "login to"
    # The error of a login ends with its own remedy, but a fault has one remedy only.
    problem = str(error).partition(". Fix: ")[0]
    cause = f"{failed_work} {at.name} failed with {user}, address {login.address}, {port} and {key}: {problem}"
    return Fault(FaultCode.NO_LOGIN, cause, _ssh_command(login))


def _ssh_command(login: Login) -> str:
    """The ssh command with the options that the inventory sets. ssh takes the others from its configuration itself."""
    options = {"-i": login.identity_file, "-p": login.port, "-J": login.jump}
    words = ["ip", "netns", "exec", login.netns] if login.netns else []
    words += ["ssh", *(word for option, value in options.items() if value for word in (option, str(value)))]
    if login.known_hosts:
        words += ["-o", f"UserKnownHostsFile={login.known_hosts}"]
    words.append(f"{login.user}@{login.address}" if login.user else login.address)
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    # A shell expands ~ only outside quotes.
    return f"~/{quote(word[2:])}" if word.startswith("~/") else quote(word)


def inside(at: HostEvidence, seen: HostSnapshot, direction: Direction, in_interface: str | None) -> Iterator[Step]:
    """Check everything on the host that serves the end. Packets arrive on `in_interface`."""
    yield from docker(at, seen, direction)
    yield from bridge(at, seen, direction)
    yield from container(at, seen, direction)
    yield from forwarding(at, seen, direction, in_interface)


def docker(at: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that Docker is running."""
    if not at.host.docker:
        return
    if seen.docker == "stopped":
        fault = Fault(
            FaultCode.DOCKER_STOPPED, f"Docker is not running on {at.name}", on_host(at, "systemctl start docker")
        )
        yield failed(at, direction, Check.DOCKER, fault)
    elif seen.docker == "absent":
        cause = f"Docker is not installed on {at.name}, but the inventory does not have docker: false for it"
        yield failed(
            at,
            direction,
            Check.DOCKER,
            Fault(FaultCode.NO_DOCKER, cause, f"docker: false for {at.name} in the inventory, or install Docker"),
        )
    else:
        yield passed(at, direction, Check.DOCKER, seen.docker)


def bridge(at: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that the bridge exists, is up and has its address."""
    if at.endpoint.container is not None and at.bridge != DOCKER_BRIDGE:
        yield from _other_bridge(at, seen, direction)
        return
    if at.host.bridge is None:
        return
    link = seen.links.get(DOCKER_BRIDGE)
    addresses = [address for device, address in seen.addresses if device == DOCKER_BRIDGE]
    if link is None:
        fault = Fault(FaultCode.BRIDGE_MISSING, f"{at.name} has no docker0", on_host(at, "systemctl restart docker"))
    elif not link.up:
        fault = Fault(
            FaultCode.LINK_DOWN, f"docker0 of {at.name} is down", on_host(at, f"ip link set {DOCKER_BRIDGE} up")
        )
    elif at.host.bridge not in addresses and not at.joined:
        fault = not_joined(at)
    elif at.host.bridge not in addresses:
        actual = ", ".join(map(str, addresses)) or "no address"
        cause = f"docker0 of {at.name} has {actual}, but the inventory has {at.host.bridge}"
        fault = Fault(FaultCode.BRIDGE_ADDRESS_WRONG, cause, apply_command(at))
    else:
        yield passed(at, direction, Check.BRIDGE, f"{DOCKER_BRIDGE} {at.host.bridge}")
        return
    yield failed(at, direction, Check.BRIDGE, fault)


def _other_bridge(at: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    link = seen.links.get(at.bridge or "")
    if link is None:
        yield unknown(
            at, direction, Check.BRIDGE, f"the container on {at.name} is not attached to a bridge of the host"
        )
    elif not link.up:
        cause = f"{link.name} of {at.name} is down"
        yield failed(
            at,
            direction,
            Check.BRIDGE,
            Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip link set {quote(link.name)} up")),
        )
    else:
        yield passed(at, direction, Check.BRIDGE, link.name)


def container(at: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that the end exists and that a container has its interface, bridge port and default route."""
    if at.missing is not None:
        cause = f"{at.name} has no target for the probe: {at.missing}"
        yield failed(
            at, direction, Check.CONTAINER, Fault(FaultCode.NO_CONTAINER, cause, on_host(at, "docker ps --all"))
        )
    elif not at.pid:
        yield passed(at, direction, Check.CONTAINER, f"{at.address} is an address of the host itself")
    elif seen.container_link is None:
        yield unknown(at, direction, Check.CONTAINER, f"no interface of the container has {at.address} any more")
    elif fault := _link_fault(at, seen, seen.container_link):
        yield failed(at, direction, Check.CONTAINER, fault)
    else:
        yield passed(at, direction, Check.CONTAINER, f"{at.address}, default route via {seen.container_link.gateway}")


def _link_fault(at: HostEvidence, seen: HostSnapshot, own: ContainerLink) -> Fault | None:
    in_container = f"nsenter --target {at.pid} --net ip"
    port = next((link for link in seen.links.values() if link.number == own.link.other), None)
    if not own.link.up:
        cause = f"{own.link.name} of the container {at.address} on {at.name} is down"
        return Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"{in_container} link set {quote(own.link.name)} up"))
    if port is not None and not port.up:
        cause = f"{port.name} of {at.name}, the port of the container {at.address} on {own.bridge}, is down"
        return Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip link set {quote(port.name)} up"))
    gateway = next(
        (each.ip for device, each in seen.addresses if device == own.bridge and at.address in each.network), None
    )
    if gateway is not None and own.gateway != gateway:
        wrong = f"a default route via {own.gateway} instead of" if own.gateway else "no default route"
        cause = f"the container {at.address} on {at.name} has {wrong} via {gateway}"
        return Fault(
            FaultCode.CONTAINER_WITHOUT_DEFAULT_ROUTE,
            cause,
            on_host(at, f"{in_container} route replace default via {gateway}"),
        )
    return None


def forwarding(at: HostEvidence, seen: HostSnapshot, direction: Direction, in_interface: str | None) -> Iterator[Step]:
    """Check that the host forwards packets that arrive on `in_interface`."""
    if not at.pid:
        return
    sysctls = seen.sysctls.get(in_interface or "")
    if "all" in seen.sysctls and not seen.sysctls["all"].forwarding:
        cause = f"{at.name} does not forward packets, because net.ipv4.ip_forward is 0"
        yield failed(
            at,
            direction,
            Check.FORWARDING,
            Fault(FaultCode.IP_FORWARD_OFF, cause, on_host(at, "sysctl -w net.ipv4.ip_forward=1")),
        )
    elif sysctls is not None and not sysctls.forwarding:
        # With slashes, since a VLAN interface has a dot in its name.
        key = f"net/ipv4/conf/{in_interface}/forwarding"
        cause = f"{at.name} does not forward packets from {in_interface}, because {key} is 0"
        remedy = on_host(at, f"sysctl -w {quote(f'{key}=1')}")
        yield failed(at, direction, Check.FORWARDING, Fault(FaultCode.IP_FORWARD_OFF, cause, remedy))
    else:
        yield passed(at, direction, Check.FORWARDING, "ip_forward is 1")
