"""A lab host that behaves as with Docker 29: the scripts in `docker29/` wrap its Docker 28.5.

What it prints and the rules it writes were compared with recordings of real hosts with Docker 29.7.2, fresh, joined and
reloaded (`tests/data/facts/docker29_*.txt`). Its error messages and its start come from the source code only.
"""

from pathlib import Path

from accidents import DAEMON_JSON, eventually, output_of

from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab

NFTABLES = '{"firewall-backend": "nftables", "ip-forward": false}'
_HERE = Path(__file__).with_name("docker29")
_PLACES = {
    "dockerd.sh": "/usr/local/bin/dockerd",
    "docker.sh": "/usr/local/bin/docker",
    "keys.pl": "/usr/local/lib/docker29/keys.pl",
    "ruleset.sh": "/usr/local/lib/docker29/ruleset.sh",
    "docker.service.conf": "/usr/lib/systemd/system/docker.service.d/docker29.conf",
}


def install_docker29(lab: Lab, host: str) -> None:
    """Give the host Docker 29 with nftables, as after an upgrade and a reboot, without earlier rules."""
    for name, path in _PLACES.items():
        put = f"mkdir -p $(dirname {path}) && cat >{path} && chmod 755 {path}"
        lab.run(host, ("sh", "-c", put), text=(_HERE / name).read_text(), check=True)
    configure(lab, host, NFTABLES)


def configure(lab: Lab, host: str, daemon_json: str) -> None:
    """Give the host another daemon.json, and reboot it."""
    lab.run(host, ("sh", "-c", f"mkdir -p /etc/docker && cat >{DAEMON_JSON}"), text=daemon_json, check=True)
    reboot(lab, host)


def reboot(lab: Lab, host: str) -> None:
    """Reboot the host. Its container starts as with a restart policy."""
    lifecycle.reboot(lab.topology.name, host)
    start_container(lab, host)


def start_container(lab: Lab, host: str) -> None:
    """Run the container again once Docker serves."""
    assert eventually(lab, host, "docker start web", "web")
    update_ruleset(lab, host)


def update_ruleset(lab: Lab, host: str) -> None:
    """Docker 29 writes its rules before a container starts; the stand-in writes them shortly afterwards, or now."""
    output_of(lab, host, "sh", _PLACES["ruleset.sh"])
