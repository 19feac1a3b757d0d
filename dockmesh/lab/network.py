"""Namespaces, the switch and the cables of a lab, by iproute2."""

from pathlib import Path

from dockmesh.lab.process import run
from dockmesh.lab.topology import CONTROLLER, CONTROLLER6, SECOND, LabHost, mac

NAMESPACES = Path("/run/netns")
SWITCH = "switch"
NIC = "eth0"
SECOND_SWITCH, SECOND_NIC = "switch2", "eth1"
# In the place of docker0, on hosts without Docker.
BRIDGE = "bridge0"


def create_fabric(fabric: str) -> None:
    """The namespace with the switch, and the controller's address on it.

    A bridge without a MAC of its own takes its ports' lowest, and so a new one whenever a port comes.
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
    """The host's namespace, cabled to the switch. One from before goes first, with its routes and rules.

    `bare`: its cards are down and have no addresses.
    """
    delete_host(fabric, host)
    run(("ip", "netns", "add", host.handle))
    _batch(
        fabric,
        f"link add {host.name} type veth peer name {NIC} address {host.mac} netns {host.handle}",
        f"link set {host.name} master {SWITCH} up",
    )
    # With its card down a host loses its addresses of IPv6, which on others a network manager puts back.
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
    """Away with cable and namespace. The cable first: the kernel clears namespaces in its own time."""
    for cable in (host.name, *((_second(host),) if host.varied else ())):
        run(("ip", "-n", fabric, "link", "delete", cable), check=False)
    delete(host.handle)


def _cable_second(fabric: str, host: LabHost) -> None:
    """Of the second LAN there is a switch once a host wants it."""
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
    """Whether a namespace of that name is there."""
    return (NAMESPACES / namespace).exists()


def names() -> tuple[str, ...]:
    """Every named namespace of this machine."""
    return tuple(entry.name for entry in NAMESPACES.iterdir()) if NAMESPACES.is_dir() else ()


def delete(namespace: str) -> None:
    """Away with the namespace, if it is there, or with a name that a killed ip left without one."""
    if exists(namespace):
        run(("ip", "netns", "delete", namespace), check=False)
        (NAMESPACES / namespace).unlink(missing_ok=True)


def inside(namespace: str, *argv: str) -> tuple[str, ...]:
    """The command that runs another one in a namespace."""
    return ("nsenter", f"--net={NAMESPACES / namespace}", *argv)


def set_port(fabric: str, host: LabHost, *, up: bool) -> None:
    """The host's port on the switch: down, the host keeps addresses and routes and reaches nobody."""
    _batch(fabric, f"link set {host.name} {'up' if up else 'down'}")


def port_is_up(fabric: str, host: LabHost) -> bool:
    """Whether the switch's port towards the host is switched on."""
    shown = run(("ip", "-n", fabric, "-brief", "link", "show", "dev", host.name, "up"), check=False)
    return shown.stdout.strip() != ""


def flap(host: LabHost) -> None:
    """Take the host's network card down and up: the kernel drops every route through it."""
    _batch(host.handle, f"link set {NIC} down", f"link set {NIC} up")


def _batch(namespace: str, *commands: str) -> None:
    run(("ip", "-n", namespace, "-batch", "-"), text="\n".join(commands) + "\n")
