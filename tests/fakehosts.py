"""Hosts in memory behind the seam of `transport`: they keep state, take scripts as a shell would, and can break.

They model dockmesh's own protocol. What Docker, routes and firewalls really do is the lab's to show.
"""

import json
import re
import shlex
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network

from builders import Call, SectionOutput, calls, nft_listing, recording, section, section_text

from dockmesh.core.addresses import IPV4
from dockmesh.core.model import Host
from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.state.nft_table import parse_table
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    NftTable,
    Pool,
    Resource,
    Route,
    Unit,
    key_of,
)
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import UnreachableError
from dockmesh.pipeline import TEMPLATES

_OWN_FILES = (
    "/etc/docker/daemon.json",
    "/etc/dockmesh/original.json",
    "/etc/dockmesh/reassert.sh",
    "/etc/dockmesh/reverted",
)
# When the timer of a pending change fires.
REVERTS_IN_S = 41
TABLE = ("firewall", "ip dockmesh")
_UNITS = ("dockmesh.service", "dockmesh.timer")


_INFO = json.loads(section_text("trixie_fresh", "docker_info"))


@dataclass(frozen=True)
class Pending:
    """A change that waits for its confirmation."""

    run: str
    back: tuple[Call, ...]
    previous: str


@dataclass
class FakeHost:
    """One host. `down`: no login; `docker_fails`: Docker does not start on a new address.

    `drops_peers`: drops packets of its peers; `session_lost_in`: the function during which the session is lost.
    `uplink`: the MTU of its network card; `held`: how many scripts stay on it; `reverted`: the section about it.
    `not_started`: the containers of the warnings at the end of a change.
    """

    host: Host
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    previous: str | None = None
    pending: Pending | None = None
    down: bool = False
    docker_fails: bool = False
    drops_peers: bool = False
    reverted: str = ""
    uplink: int = 1500
    session_lost_in: str = ""
    held: int = 0
    not_started: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.put(DockerNetworking(IPv4Interface("172.17.0.1/16")))

    def put(self, resource: Resource) -> None:
        self.resources[key_of(resource)] = resource

    @property
    def bridge(self) -> DockerNetworking:
        bridge = self.resources["service", "docker"]
        assert isinstance(bridge, DockerNetworking)
        return bridge

    @property
    def docker0(self) -> IPv4Interface:
        assert self.bridge.address is not None
        return self.bridge.address

    @property
    def routes(self) -> list[Route]:
        return [each for each in self.resources.values() if isinstance(each, Route)]

    def run_steps(self, steps: list[Call] | tuple[Call, ...]) -> str | None:
        """Take steps until one fails; what it says."""
        for words, given in steps:
            if words[0] != "activate_units" and (problem := self._step(list(words), given)):
                return problem
        return None

    def _step(self, words: list[str], given: str) -> str | None:
        match words:
            case ["put_file", path, mode]:
                self.put(File(path, _text(given), mode))
            case ["put_unit" | "put_stopped_unit" as verb, name, *state]:
                self.put(Unit(name, _text(given), active=verb == "put_unit", enabled=state != ["disabled"]))
            case ["put_accept_rules", "iptables", table, chain]:
                rules = AcceptRules(table, chain, tuple(given.splitlines()))
                if rules.rules:
                    self.put(rules)
                else:
                    self.resources.pop(key_of(rules), None)
            case ["remove_file" | "remove_unit" as verb, key]:
                self.resources.pop((verb.removeprefix("remove_"), key), None)
            case ["change_routes", "4"]:
                for line in given.splitlines():
                    self._route(line.split())
            case ["put_nft_table", "ip"]:
                self.put(parse_table(given.splitlines(), IPV4))
            case ["remove_nft_table", "ip"]:
                self.resources.pop(TABLE, None)
            case _:
                return self._docker_step(words, given)
        return None

    def _docker_step(self, words: list[str], given: str) -> str | None:
        match words:
            case ["restart_docker", address, "", *wanted]:
                file = self.resources.get(("file", DAEMON_JSON))
                return self._restart([address, *wanted], file.text if isinstance(file, File) else "{}")
            case ["restart_docker_with", address, "", *wanted]:
                return self._restart([address, *wanted], _text(given))
        raise AssertionError(words)

    def _route(self, words: list[str]) -> None:
        _route, verb, prefix, _via, next_hop, _dev, device, *_ = words
        self.resources.pop(("route", prefix), None)
        if verb == "replace":
            self.put(Route(IPv4Network(prefix), IPv4Address(next_hop), device))

    def _restart(self, wanted: list[str], daemon_json: str) -> str | None:
        keys = json.loads(daemon_json)
        named = keys.get("bip", str(self.docker0))
        rows = keys.get("default-address-pools", [])
        if self.docker_fails and named != "172.17.0.1/16":
            return "docker.service: start request repeated too quickly"
        pools = tuple(Pool(ip_network(row["base"]), row["size"]) for row in rows)
        self.put(DockerNetworking(IPv4Interface(named), pools, mtu=keys.get("mtu", 1500)))
        came = [named, "".join(f"{row['base']} {row['size']};" for row in rows), str(self.bridge.mtu)]
        return None if came == wanted else f"Docker came up with {came}"

    def sections(self, peers: "list[FakeHost]") -> dict[str, SectionOutput]:
        """What templates/facts.sh would find."""
        own = "".join(
            f"{each.prefix} via {each.next_hop} dev {each.device} proto 201 metric 4201 \n" for each in self.routes
        )
        lan = f"2: eth0    inet {self.host.underlay}/20 scope global eth0"
        said: dict[str, SectionOutput] = {
            "addresses": f"{lan}\n3: docker0    inet {self.docker0} scope global docker0",
            "links": "1: lo: <LOOPBACK,UP> mtu 65536 qdisc noqueue\n"
            f"2: eth0@if3: <BROADCAST,UP,LOWER_UP> mtu {self.uplink} qdisc noqueue\n"
            "3: docker0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue",
            "docker_networks": section_text("trixie_fresh", "docker_networks").replace(
                '"1500"', f'"{self.bridge.mtu}"'
            ),
            "routes": f"{own}{self.docker0.network} dev docker0 proto kernel scope link\n"
            "192.168.16.0/20 dev eth0 proto kernel scope link",
            "peer_routes": "\n".join(f"{peer.host.underlay} dev eth0 src {self.host.underlay} uid 0" for peer in peers),
            "filter": "\n".join((":DOCKER-USER -", *self._accepting("filter"))),
            "raw": "\n".join(self._accepting("raw")),
            "iptables_rules": self._rules(),
            "docker_containers": section_text("trixie_fresh", "docker_containers").replace(
                "172.17.0.2", str(self.docker0.ip + 1)
            ),
            "own_nft": nft_listing(table) if isinstance(table := self.resources.get(TABLE), NftTable) else (1, ""),
            "unit_states": "enabled\nenabled\nactive"
            if ("unit", "dockmesh.timer") in self.resources
            else (1, "not-found"),
            "docker_info": json.dumps(_INFO | {"DefaultAddressPools": self._pools()}),
            **{path.rsplit("/", 1)[-1]: _file(self.resources.get(("file", path))) for path in _OWN_FILES},
            **{name: _file(self.resources.get(("unit", name))) for name in _UNITS},
        }
        basis = sha256(json.dumps(said).encode()).hexdigest()
        previous = _file(File("", self.previous, "600")) if self.previous else "absent"
        return said | self.unconfirmed() | {"basis": basis, "previous.json": previous}

    def unconfirmed(self) -> dict[str, SectionOutput]:
        """What emit_unconfirmed of templates/output.sh prints."""
        waiting = "\n".join((f"run {self.pending.run}", f"reverts_in {REVERTS_IN_S}")) if self.pending else (1, "")
        return {"pending": waiting, "reverted_change": self.reverted or (1, "")}

    def _rules(self) -> str:
        """The rules of all software, dockmesh's first."""
        lines = ["*raw", ":PREROUTING ACCEPT [0:0]", *section_text("trixie_fresh", "iptables_rules").splitlines()]
        for each in (each for each in self.resources.values() if isinstance(each, AcceptRules)):
            behind = 1 + next(n for n, line in enumerate(lines) if line.startswith(f":{each.chain} "))
            lines[behind:behind] = [f"-A {each.chain} {rule}" for rule in each.rules]
        return "\n".join(lines)

    def _pools(self) -> list[dict[str, object]]:
        return [{"Base": str(pool.base), "Size": pool.size} for pool in self.bridge.pools]

    def _accepting(self, table: str) -> list[str]:
        found = (each for each in self.resources.values() if isinstance(each, AcceptRules) and each.table == table)
        return [f"-A {each.chain} {rule}" for each in found for rule in each.rules]


@dataclass
class FakeLan:
    """The hosts of a fleet, and the transport that leads to them."""

    hosts: dict[str, FakeHost]
    opened: int = 0

    def connect(self, host: Host) -> "FakeSession":
        if self.hosts[host.name].down:
            raise UnreachableError(f"{host.login.address} does not answer", code=HostErrorCode.CONNECT_TIMEOUT)
        self.opened += 1
        return FakeSession(self, self.hosts[host.name])

    def peers(self, of: FakeHost) -> list[FakeHost]:
        return [each for each in self.hosts.values() if each is not of]

    def reaches(self, source: FakeHost, address: IPv4Address) -> bool:
        """Whether a packet gets there and its answer back, and is let in on the way."""
        if address in source.docker0.network:
            return True
        return any(
            address in route.prefix
            and address in there.docker0.network
            and not (there.down or there.drops_peers or source.drops_peers)
            and self._accepts(there, source)
            and any(back.next_hop == source.host.underlay for back in there.routes)
            for route in source.routes
            for there in self.peers(source)
            if there.host.underlay == route.next_hop
        )

    @staticmethod
    def _accepts(there: FakeHost, source: FakeHost) -> bool:
        table, accepts = there.resources.get(TABLE), ("firewall", "raw/PREROUTING") in there.resources
        return accepts and isinstance(table, NftTable) and IPv4Network(source.host.underlay) in table.networks


@dataclass
class FakeHeld:
    """A shell that stays on a host."""

    at: FakeHost
    output: str
    session: "FakeSession"
    answer: str = ""

    def send(self, script: str, *, timeout_s: float) -> None:
        assert self.at.held
        self.answer = self.session.run(script, timeout_s=timeout_s)

    def receive(self, *, timeout_s: float) -> str:
        assert timeout_s > 0
        answer, self.answer = self.answer, ""
        assert answer
        return answer

    def release(self, *, timeout_s: float) -> str:
        assert timeout_s > 0
        self.at.held -= 1
        if self.at.down:
            raise UnreachableError("the SSH session was lost", code=HostErrorCode.SESSION_LOST)
        return section("observed_pings", (127, "")) + section("end", "")


@dataclass
class FakeSession:
    """A login on one of them."""

    lan: FakeLan
    at: FakeHost

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def run(self, script: str, *, timeout_s: float) -> str:
        assert timeout_s > 0
        own = script
        texts = (
            TEMPLATES.output,
            TEMPLATES.kernel_settings,
            TEMPLATES.facts,
            TEMPLATES.network_steps,
            TEMPLATES.host_steps,
            TEMPLATES.transaction,
            TEMPLATES.probe,
            TEMPLATES.observe,
        )
        for text in texts:
            own = own.replace(text, "")
        for call, answer in (
            ("run_section probes probes", self._run_probes),
            ("host_addresses 4201", self._find_target),
            ("pending/revert.sh 2>&1 </dev/null", self._revert),
            ("confirm </dev/null", self._confirm),
            ("transact </dev/null", self._transact),
            ("read_facts </dev/null", self._read_facts),
        ):
            if call in own:
                if self.at.down or self.at.session_lost_in == call.split()[0]:
                    raise UnreachableError("the SSH session was lost", code=HostErrorCode.SESSION_LOST)
                return answer(own)
        raise AssertionError(own)

    def hold(self, script: str, *, timeout_s: float) -> FakeHeld:
        said = self.run(script, timeout_s=timeout_s)
        self.at.held += 1
        return FakeHeld(self.at, said, self)

    def _read_facts(self, _own: str) -> str:
        return recording("trixie_fresh", self.at.sections(self.lan.peers(self.at)))

    def _transact(self, own: str) -> str:
        values = _values(own)
        if self.at.pending:
            return _outcome("refused", "change-pending", "a change waits for its confirmation") + self._read_facts(own)
        if self.at.sections(self.lan.peers(self.at))["basis"] != values["BASIS"]:
            return _outcome("refused", "stale-plan", "the host is not as planned") + self._read_facts(own)
        back = tuple(calls(own, "revert_steps"))
        if problem := self.at.run_steps(calls(own, "apply_steps")):
            self.at.run_steps(back)
            return _outcome("reverted", "docker-failed", problem, self.at.not_started) + self._read_facts(own)
        previous = next(given for words, given in calls(own, "write_pending") if words[1].endswith("previous.json"))
        self.at.pending = Pending(values["RUN"], back, _text(previous))
        return _outcome("changed") + self._read_facts(own)

    def _confirm(self, own: str) -> str:
        values, pending = _values(own), self.at.pending
        if pending is None or pending.run != values["RUN"]:
            return _outcome("reverted", "not-confirmed", "no confirmation came in time") + section("end", "")
        if values["SAVE_PREVIOUS"] == "yes":
            self.at.previous = pending.previous
        self.at.pending = None
        return _outcome("confirmed", warnings=self.at.not_started) + section("end", "")

    def _revert(self, own: str) -> str:
        if self.at.pending is None or self.at.pending.run != _values(own)["RUN"]:
            return _outcome("reverted") + section("end", "")
        if problem := self.at.run_steps(self.at.pending.back):
            return _outcome("failed", "revert-failed", problem) + section("end", "")
        self.at.pending = None
        return _outcome("reverted", "not-confirmed", "not confirmed", self.at.not_started) + section("end", "")

    def _find_target(self, _own: str) -> str:
        said = self.at.sections([])
        return (
            section("addresses", said["addresses"])
            + section("links", said["links"])
            + section("addresses6", "")
            + section("mesh_routes", "".join(f"{each.prefix} proto 201 metric 4201 \n" for each in self.at.routes))
            + "".join(section(*each) for each in self.at.unconfirmed().items())
            + section("target", f"{self.at.docker0.ip + 1} - 7 container {self.at.bridge.mtu}")
            + section("end", "")
        )

    def _run_probes(self, own: str) -> str:
        call, _, asked = own.partition("{ run_row ")[2].partition(" <<'END'\n")
        packets = call.split()[2]
        lines = (self._probe(line, packets) for line in asked.partition("END\n}")[0].splitlines())
        return section("probes", "\n".join(lines)) + section("end", "")

    def _probe(self, asked: str, packets: str) -> str:
        """The line of templates/probe.pl."""
        index, where, text, payload, _id = asked.split()
        address = IPv4Address(text)
        if not self.lan.reaches(self.at, address):
            return f"{index} 4 0 - - - - - - -"
        there = next(each for each in self.lan.hosts.values() if address in each.docker0.network)
        passes = there is self.at or int(payload) + 28 <= min(self.at.uplink, there.uplink)
        hops = 0 if there is self.at else (address != there.docker0.ip) + (where == "container")
        full = "-" if payload == "0" else "passed" if passes else "lost"
        return f"{index} {packets} {packets} {64 - hops} 100 200 300 {full} - -"


def _text(given: str) -> str:
    return b64decode(given).decode()


def _file(resource: Resource | None) -> str:
    if not isinstance(resource, File | Unit):
        return "absent"
    mode = resource.mode if isinstance(resource, File) else "644"
    return f"{mode}\n{b64encode(resource.text.encode()).decode()}"


def _outcome(status: str, code: str = "", error: str = "", warnings: tuple[str, ...] = ()) -> str:
    rows = [{"code": "container-not-started", "key": name, "error": "no"} for name in warnings]
    return section("outcome", json.dumps({"status": status, "code": code, "error": error, "warnings": rows}))


def _values(own: str) -> dict[str, str]:
    """What the script's line of assignments sets."""
    found = re.search(r"^RUN=.*$", own, re.MULTILINE)
    assert found
    return dict(word.split("=", 1) for word in shlex.split(found[0]))
