"""Network of a lab: namespaces, the switch and its cables, made with iproute2."""

from pathlib import Path

from dockmesh.lab.process import run
from dockmesh.lab.topology import CONTROLLER, CONTROLLER6, SECOND, LabHost, mac

NAMESPACES = Path("/run/netns")
SWITCH = "switch"
NIC = "eth0"
SECOND_SWITCH, SECOND_NIC = "switch2", "eth1"
# Replaces docker0 on hosts without Docker.
BRIDGE = "bridge0"


def create_fabric(fabric: str) -> None:
    """Create the namespace with the switch and the controller's address.

    The switch gets a fixed MAC: a bridge without one takes the lowest MAC of its ports, which changes with new ports.
    """
    run(("ip", "netns", "add", fabric))
    _batch(
        fabric,
        "link set lo up",
        f"link add {SWITCH} address {mac(CONTROLLER.ip)} type bridge stp_state 0 forward_delay 0",
        f"link set {SWITCH} up",
        f"address add {CONTROLLER} dev {SWITCH}",
        f"address add {CONTROLLER6} dev {SWITCH} nodad",
    )


def create_host(fabric: str, host: LabHost, *, bare: bool = False) -> None:
    """Create the host's namespace and connect it to the switch; removes an earlier one with its routes and rules.

    With `bare`, the host's network cards are down and have no addresses.
    """
    delete_host(fabric, host)
    run(("ip", "netns", "add", host.handle))
    _batch(
        fabric,
        f"link add {host.name} type veth peer name {NIC} address {host.mac} netns {host.handle}",
        f"link set {host.name} master {SWITCH} up",
    )
    # A card that goes down loses its IPv6 addresses; elsewhere a network manager restores them.
    run(inside(host.handle, "tee", f"/proc/sys/net/ipv6/conf/{NIC}/keep_addr_on_down"), text="1\n")
    if host.varied:
        _cable_second(fabric, host)
    if bare:
        return
    _batch(
        host.handle,
        f"address add {host.underlay} dev {NIC}",
        f"address add {host.underlay6} dev {NIC} nodad",
        f"link set {NIC} up",
    )
    if host.light:
        _batch(host.handle, f"link add {BRIDGE} type bridge", f"address add {host.bridge} dev {BRIDGE}")
        _batch(host.handle, f"link set {BRIDGE} up")
        run(inside(host.handle, "tee", "/proc/sys/net/ipv4/ip_forward"), text="1\n")


def delete_host(fabric: str, host: LabHost) -> None:
    """Delete the host's cables and its namespace; cables first, because the kernel removes namespaces with a delay."""
    for cable in (host.name, *((_second(host),) if host.varied else ())):
        run(("ip", "-n", fabric, "link", "delete", cable), check=False)
    delete(host.handle)


def _cable_second(fabric: str, host: LabHost) -> None:
    """Connect the host to the switch of the second LAN, which the first such host creates."""
    if run(("ip", "-n", fabric, "link", "show", "dev", SECOND_SWITCH), check=False).returncode != 0:
        _batch(
            fabric,
            f"link add {SECOND_SWITCH} address {mac(SECOND.network_address)} type bridge stp_state 0 forward_delay 0",
            f"link set {SECOND_SWITCH} up",
        )
    card = f"peer name {SECOND_NIC} address {mac(host.second.ip)} netns {host.handle}"
    _batch(
        fabric,
        f"link add {_second(host)} type veth {card}",
        f"link set {_second(host)} master {SECOND_SWITCH} up",
    )


def _second(host: LabHost) -> str:
    return f"{host.name}-2"


def exists(namespace: str) -> bool:
    """Whether a namespace of that name exists."""
    return (NAMESPACES / namespace).exists()


def names() -> tuple[str, ...]:
    """Names of all named namespaces of this machine."""
    return tuple(entry.name for entry in NAMESPACES.iterdir()) if NAMESPACES.is_dir() else ()


def delete(namespace: str) -> None:
    """Delete the namespace if it exists, or the name without a namespace that a killed `ip` left."""
    if exists(namespace):
        run(("ip", "netns", "delete", namespace), check=False)
        (NAMESPACES / namespace).unlink(missing_ok=True)


def inside(namespace: str, *argv: str) -> tuple[str, ...]:
    """The command that runs another command in a namespace."""
    return ("nsenter", f"--net={NAMESPACES / namespace}", *argv)


def set_port(fabric: str, host: LabHost, *, up: bool) -> None:
    """Set the host's port on the switch up or down; behind a port that is down, a host keeps addresses and routes."""
    _batch(fabric, f"link set {host.name} {'up' if up else 'down'}")


def port_is_up(fabric: str, host: LabHost) -> bool:
    """Whether the host's port on the switch is up."""
    shown = run(("ip", "-n", fabric, "-brief", "link", "show", "dev", host.name, "up"), check=False)
    return shown.stdout.strip() != ""


def flap(host: LabHost) -> None:
    """Set the host's network card down and up, so that the kernel drops every route through it."""
    _batch(host.handle, f"link set {NIC} down", f"link set {NIC} up")


def _batch(namespace: str, *commands: str) -> None:
    run(("ip", "-n", namespace, "-batch", "-"), text="\n".join(commands) + "\n")
