"""Hosts with other network managers and firewalls.

What each has is installed on all hosts of a varied lab, and off. Their own files bring it up at boot, and with it the
addresses of both their cards; the default route is by the first one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote

from accidents import output_of

from dockmesh.lab import lifecycle
from dockmesh.lab.network import NIC, SECOND_NIC
from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import CONTROLLER, LabHost

_UP_WITHIN_S = 15.0
_PROFILE = """\
[connection]
id={card}
type=ethernet
interface-name={card}
[ipv4]
method=manual
address1={address}{gateway}
[ipv6]
method=link-local
"""
# NetworkManager brings this as a rule of udev (85-nm-unmanaged.rules), and lab hosts have no udev. Without it
# NetworkManager takes a container's card for itself if it sees it before Docker has made it a port of docker0.
_UNMANAGED = {
    "/etc/NetworkManager/conf.d/containers.conf": (
        "[keyfile]\nunmanaged-devices=interface-name:veth*;interface-name:dmp*\n"
    )
}
_NETWORK = "[Match]\nName={card}\n[Network]\nAddress={address}\n{gateway}"
_STANZA = "auto {card}\niface {card} inet static\n  address {address}\n{gateway}"


@dataclass(frozen=True, slots=True)
class Setup:
    """What is switched on: units, after what is written and run; and where the two cards have their addresses.

    `card` is what a file says of a card, `gateway` what it says besides of the one that has the default route.
    """

    units: tuple[str, ...]
    file: str
    card: str
    gateway: str
    commands: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    # NetworkManager reads no file that others may, networkd none that it may not.
    mode: str = "644"

    def files(self, host: LabHost) -> Mapping[str, str]:
        """By path, the text of each file; what is for one path is one file."""
        texts = dict(self.settings)
        for card, address in ((NIC, host.underlay), (SECOND_NIC, host.second)):
            gateway = self.gateway.format(CONTROLLER.ip) if card == NIC else ""
            path = self.file.format(card)
            texts[path] = texts.get(path, "") + self.card.format(card=card, address=address, gateway=gateway)
        return texts


# As on Fedora and its like; as on Debian; as in a cloud.
NETWORK_MANAGER = Setup(
    ("polkit", "firewalld", "NetworkManager", "NetworkManager-dispatcher", "NetworkManager-wait-online"),
    "/etc/NetworkManager/system-connections/{}.nmconnection",
    _PROFILE,
    ",{}",
    settings=_UNMANAGED,
    mode="600",
)
IFUPDOWN = Setup(
    ("ufw", "networking", "ifupdown-pre"),
    "/etc/network/interfaces",
    _STANZA,
    "  gateway {}\n",
    ("ufw default deny incoming", "ufw allow ssh", "ufw --force enable"),
)
NETWORKD = Setup(
    ("polkit", "firewalld", "systemd-networkd"), "/etc/systemd/network/{}.network", _NETWORK, "Gateway={}\n"
)


def install_setup(lab: Lab, host: str, setup: Setup) -> None:
    """Set the host up so, and reboot it."""
    for path, text in setup.files(lab.topology.host(host)).items():
        written = f"printf %s {quote(text)} >{path} && chmod {setup.mode} {path}"
        output_of(lab, host, "sh", "-c", f"mkdir -p $(dirname {path}) && {written}")
    output_of(lab, host, "sh", "-c", f"rm -f {' '.join(f'/etc/systemd/system/{unit}.service' for unit in setup.units)}")
    for command in setup.commands:
        output_of(lab, host, "sh", "-c", command)
    output_of(lab, host, "sh", "-c", f"systemctl daemon-reload && systemctl enable {' '.join(setup.units)}")
    reboot(lab, host)


def reboot(lab: Lab, host: str) -> None:
    """Boot the host with cards that have no addresses but by its own doing, and start its container."""
    lifecycle.reboot(lab.topology.name, host, bare=True)
    output_of(lab, host, "docker", "start", "web")
    wanted = f"{lab.topology.host(host).second}"
    assert poll(lambda: wanted in output_of(lab, host, "ip", "-brief", "address", "show", SECOND_NIC), _UP_WITHIN_S), (
        host
    )
