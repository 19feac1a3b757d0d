"""The state of a host as its administrator sees it, to test the effects of a run."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import docker_api

from dockmesh.lab.running import Lab

HostView = dict[str, str]

# Everything that dockmesh could change, or Docker because of it. What changes by itself is left out: lifetimes of
# addresses, IPv6 routes that come with an address, counters, dates, the lock that a joined host takes twice a minute.
_COMMANDS = {
    "addresses": "ip -o address show | sed 's/ tentative//'",
    "links": "ip -o link show",
    "routes": "ip -4 route show table all; ip -6 route show table all | grep -v -e fe80 -e ff00 -e ::1",
    "policy": "ip -4 rule show; ip -6 rule show",
    "iptables": "for save in iptables-save ip6tables-save; do $save | sed '/^#/d; s/ \\[[0-9:]*\\]$//'; done",
    "nftables": "nft -s list ruleset",
    "forwarding": "sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.rp_filter",
    "etc": r"{ find /etc -path /etc/ssl -prune -o -printf '%p %M %u:%g %l\n' | sort;"
    " find /etc -path /etc/ssl -prune -o -type f -exec sha256sum {} + | sort -k 2; } | grep -v /etc/dockmesh/lock",
    "docker": "systemctl show docker.service docker.socket -p ActiveState -p ExecMainStartTimestampMonotonic",
    "units": "systemctl list-unit-files --no-legend 'dockmesh*'",
    "namespaces": "ls /run/netns; pgrep --list-full sleep | grep -v infinity || true",
}
_SCRIPT = "\n".join(f"printf '\\036{name}\\n'; {{ {command}; }} 2>&1" for name, command in _COMMANDS.items())


def read_host(lab: Lab, host: str) -> HostView:
    """All of it, exactly."""
    docker = _docker_view(lab, host)
    text = lab.run(host, ("sh", "-c", _SCRIPT), check=True).stdout
    return docker | dict(section.split("\n", 1) for section in text.split("\036")[1:])


def _docker_view(lab: Lab, host: str) -> HostView:
    """Every container and network. Like the command of Docker, this starts a Docker whose socket is active."""
    with docker_api.connection(lab, host) as docker:
        try:
            listed = sorted(each["Id"] for each in docker.read("/containers/json?all=1"))
            containers = [docker.read(f"/containers/{each}/json") for each in listed]
            networks = docker.read("/networks")
        except (OSError, HTTPException, LookupError) as error:
            return dict.fromkeys(("containers", "networks"), f"{type(error).__name__}\n")
    states = ((each, each["State"]) for each in containers)
    lines = (f"{each['Id']} {each['Name']} {at['Status']} {at['StartedAt']} {at['Pid']}\n" for each, at in states)
    names = sorted(f"{each['Id']} {each['Name']} {each['Driver']}\n" for each in networks)
    return {"containers": "".join(lines), "networks": "".join(names)}


def read_hosts(lab: Lab, hosts: Iterable[str]) -> dict[str, HostView]:
    """The views of the hosts by name, taken in parallel."""
    names = tuple(hosts)
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return dict(zip(names, pool.map(lambda host: read_host(lab, host), names), strict=True))


def stable_view(sight: HostView) -> HostView:
    """The state without the parts that a restart of Docker replaces.

    That restarts containers, which gives their network cards new names, and makes docker0 anew, with another MAC. An
    empty table of iptables, which has no rule, no chain of anybody's and no policy but ACCEPT, counts as none.
    """
    return {name: _STABLE[name](text) for name, text in sight.items() if name in _STABLE}


def _without(pattern: str, text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not re.search(pattern, line))


def _addresses(text: str) -> str:
    settled = (line for line in text.splitlines() if re.search(r" inet | fe80::1/| inet6 .* scope global", line))
    fields = (line.split()[1:4] for line in settled)
    return "\n".join(sorted(" ".join(each) for each in fields))


def _links(text: str) -> str:
    names = re.findall(r"^\d+: ([^:@]+)", text, re.MULTILINE)
    return "\n".join(sorted(name for name in names if not name.startswith("veth")))


def _iptables(text: str) -> str:
    return re.sub(r"\*\w+\n(:\w+ ACCEPT\n)*COMMIT\n", "", text)


def _nftables(text: str) -> str:
    """Tables that do not belong to iptables, whose section has its own."""
    tables = re.findall(r"^table .*?^}\n", text, re.MULTILINE | re.DOTALL)
    return "".join(table for table in tables if not re.match(r"table ip6? (raw|filter|nat|mangle|security) ", table))


_STABLE: dict[str, Callable[[str], str]] = {
    "addresses": _addresses,
    "links": _links,
    "routes": str,
    "policy": str,
    "iptables": _iptables,
    "nftables": _nftables,
    "forwarding": str,
    # The saved previous state depends on the last change.
    "etc": lambda text: _without(r"^[0-9a-f]{64}  /etc/dockmesh/previous.json", text),
    "containers": lambda text: "\n".join(" ".join(line.split()[:3]) for line in text.splitlines()),
    "networks": lambda text: "\n".join(sorted(" ".join(line.split()[1:]) for line in text.splitlines())),
    "docker": lambda text: _without("Timestamp", text),
    "namespaces": str,
}
