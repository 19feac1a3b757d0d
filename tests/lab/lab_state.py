"""The state of the lab's hosts between tests: original or joined.

A change of state costs seconds, so it is made only if the next test needs it. No test may leave another state.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff

import host_view
from mesh import CommandResult, Mesh

from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab

# The kernel removes namespaces one after another, which takes seconds on a busy machine.
_SETTLES_WITHIN_S = 20.0
_POLL_S = 0.2
# What admins have on their hosts, and must find there again: keys in a daemon.json of their own taste, a static route,
# rules in Docker's chains and beside them.
ODD_JSON = '{\n\t"log-level" : "warn",\n\t"labels": ["a=1",\n\t\t   "b=2"],\n\t"shutdown-timeout": 5\n}'
_ADMIN_CONFIG = {
    "host2": (f"cat >/etc/docker/daemon.json <<'END'\n{ODD_JSON}\nEND\nchmod 640 /etc/docker/daemon.json",),
    "host3": (
        "ip route add 198.51.100.0/24 via 192.168.18.128 metric 50 proto static",
        "iptables -I DOCKER-USER -s 203.0.113.7/32 -j DROP",
        "iptables -A FORWARD -s 203.0.113.8/32 -m comment --comment 'by hand' -j DROP",
        "nft add table ip own; nft add chain ip own in '{ type filter hook input priority 10; policy accept; }'",
        "nft add rule ip own in ip saddr 203.0.113.9 drop",
    ),
}


@dataclass(frozen=True, slots=True)
class ApplyRecord:
    """One `apply` to original hosts: their state before, its output, and their state after."""

    before: Mapping[str, host_view.HostView]
    done: CommandResult
    after: Mapping[str, host_view.HostView]


@dataclass
class SharedHosts:
    """Moves the hosts where a test wants them, and sees to it that none is left changes."""

    lab: Lab
    mesh: Mesh
    found: dict[str, host_view.HostView] = field(default_factory=dict)
    apply_record: ApplyRecord | None = None
    joined: bool = False

    def __post_init__(self) -> None:
        self._add_admin_config()

    def restore_found(self) -> None:
        """Leave the mesh if the hosts are in it."""
        if self.joined:
            assert self.mesh.dockmesh("destroy", "--yes", "--serial", "100%").status == 0
            self.check()

    def ensure_joined(self) -> ApplyRecord:
        """Join the hosts of the mesh unless they are joined. Returns the record of the join."""
        if self.apply_record is None or not self.joined:
            before = self._read_hosts()
            # First with the default, as most users do; afterwards all hosts in parallel, which is faster.
            at_once = ("--serial", "100%") if self.apply_record else ()
            done = self.mesh.dockmesh("apply", "--yes", "--json", *at_once)
            assert done.status == 0, done
            self.apply_record, self.joined = ApplyRecord(before, done, self._read_hosts()), True
        return self.apply_record

    def check(self) -> None:
        """Check the state of the hosts after a test. Repairs another state, and raises AssertionError for it."""
        states = [self.found, *([_stable_views(self.apply_record.after)] if self.apply_record else [])]
        now = self._wait_for_state(states)
        self.joined = now in states[1:]
        if now not in states:
            changes = min((difference(state, now) for state in states), key=len)
            self._repair()
            raise AssertionError(f"hosts were left neither as found nor joined:\n{changes}")

    def _wait_for_state(self, states: Sequence[Mapping[str, host_view.HostView]]) -> dict[str, host_view.HostView]:
        """One of the states, if it comes to that."""
        end = time.monotonic() + _SETTLES_WITHIN_S
        while (now := _stable_views(self._read_hosts())) not in states and time.monotonic() < end:
            time.sleep(_POLL_S)
        return now

    def _read_hosts(self) -> dict[str, host_view.HostView]:
        return host_view.read_hosts(self.lab, [host.name for host in self.lab.topology.hosts])

    def _add_admin_config(self) -> None:
        for host, commands in _ADMIN_CONFIG.items():
            for command in commands:
                self.lab.run(host, ("sh", "-c", command), check=True)
        self.found, self.joined = _stable_views(self._read_hosts()), False

    def _repair(self) -> None:
        """Repair the hosts, typically after a failed test. If `destroy` cannot, replace the lab."""
        for host in self.lab.topology.hosts:
            self.lab.heal(host.name)
        self.mesh.dockmesh("destroy", "--yes", "--serial", "100%")
        self.joined, self.apply_record = False, None
        if _stable_views(self._read_hosts()) != self.found:
            lifecycle.down(self.lab.topology.name)
            lifecycle.up(self.lab.topology.name, len(self.lab.topology.hosts))
            self._add_admin_config()


def difference(before: Mapping[str, host_view.HostView], after: Mapping[str, host_view.HostView]) -> str:
    """The differences of two views of hosts as text. Empty for equal views."""
    lines = [
        line
        for host, sections in before.items()
        for name, text in sections.items()
        for line in unified_diff(
            text.splitlines(), after[host][name].splitlines(), f"{host} {name}", f"{host} {name}", lineterm="", n=0
        )
    ]
    return "\n".join(lines)


def _stable_views(sights: Mapping[str, host_view.HostView]) -> dict[str, host_view.HostView]:
    return {host: host_view.stable_view(seen) for host, seen in sights.items()}
