"""Test data: recorded and crafted host outputs, a fleet, facts, plans and the calls of generated scripts."""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from tempfile import TemporaryDirectory

from dockmesh.core.desired.host_state import desired
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.host_facts import HostFacts, parse_facts
from dockmesh.core.host_output import split
from dockmesh.core.model import Fleet, Host, HostNetwork, Login, Settings
from dockmesh.core.planning.plan import HostPlan, plan_host
from dockmesh.core.probes.batch import row_script
from dockmesh.core.probes.ids import probe_ids
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.state.nft_table import table_text
from dockmesh.core.state.resources import NftTable
from dockmesh.pipeline import TEMPLATES

DATA = Path(__file__).parent / "data" / "facts"
GENERATIONS = {"bookworm": "host1", "trixie": "host2", "forky": "host3"}
# The nftables recordings are from the lab's stand-in for Docker 29.
_RECORDERS = GENERATIONS | {"nftables": "host3"}
SectionOutput = str | tuple[int, str] | None
# When the recorded hosts were read.
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def host(
    name: str, underlay: str, prefix: str | None = None, bridge: str | None = None, *, docker: bool = True
) -> Host:
    return Host(
        name,
        IPv4Address(underlay),
        IPv4Network(prefix) if prefix else None,
        IPv4Interface(bridge) if bridge else None,
        docker=docker,
        login=Login(underlay),
    )


def fleet(*hosts: Host) -> Fleet:
    return Fleet(Settings(), hosts)


def with_ipv6(of: Host, underlay: str, prefix: str | None = None, bridge: str | None = None) -> Host:
    """The host, with a part in the IPv6 mesh."""
    six = HostNetwork(
        IPv6Address(underlay), IPv6Network(prefix) if prefix else None, IPv6Interface(bridge) if bridge else None
    )
    return replace(of, ipv6=six)


# The fleet of the lab on which the outputs were recorded.
FLEET = fleet(
    host("host1", "192.168.18.128", "10.128.0.0/20", "10.128.0.1/24"),
    host("host2", "192.168.18.129", "10.128.16.0/20", "10.128.16.1/24"),
    host("host3", "192.168.18.130", "10.128.32.0/20", "10.128.32.1/24"),
)
HOST1, HOST2, HOST3 = FLEET.hosts


def row(probes: Sequence[Probe], targets: Mapping[str, ProbeTarget], among: Fleet | None = None) -> str:
    """The script of a row in a fleet, by default that of the lab."""
    positions = {each.name: position for position, each in enumerate((among or FLEET).hosts)}
    return row_script(probes, targets, TEMPLATES, pid=7, ids=probe_ids(1, 0, 0), nonce=b"12345678", positions=positions)


def row_lines(probes: Sequence[Probe], targets: Mapping[str, ProbeTarget], among: Fleet | None = None) -> list[str]:
    """The lines of a row, one for each probe that the host sends."""
    return row(probes, targets, among).partition("<<'END'\n")[2].partition("END\n}")[0].splitlines()


def section(name: str, said: SectionOutput) -> str:
    """A section as `run_section` of templates/output.sh prints it; None means that the script prints no section."""
    if said is None:
        return ""
    status, text = said if isinstance(said, tuple) else (0, said)
    body = "".join(f" {line}\n" for line in text.split("\n")) if text else ""
    return f"@{name} {status}\n{body}"


def recording(name: str, changes: Mapping[str, SectionOutput] | None = None) -> str:
    """A recorded output with `changes` to its sections. A crafted recording replaces sections of the one it names."""
    text = (DATA / f"{name}.txt").read_text(encoding="utf-8")
    said = _blocks(text)
    if base := re.match(r"# crafted over (\w+):", text):
        said = _blocks(recording(base[1])) | said
    changed = {key: section(key, value) for key, value in (changes or {}).items()}
    assert changed.keys() <= said.keys(), f"{name} lacks {changed.keys() - said.keys()}"
    return "".join((said | changed).values())


def _blocks(text: str) -> dict[str, str]:
    blocks = (block for block in re.split(r"(?m)^(?=@)", text) if block.startswith("@"))
    named = ((block[1:].split(" ", 1)[0], block) for block in blocks)
    return {name: "" if block.startswith(f"@{name} gone\n") else block for name, block in named}


def section_text(name: str, what: str) -> str:
    """The text of one section of a recording."""
    return split(recording(name))[what].text


_LISTED_PRIORITIES = {"-310": "raw - 10", "-1": "filter - 1", "99": "srcnat - 1"}


def nft_listing(table: NftTable) -> str:
    """The table as `nft -s list table` prints it: with names of priorities, two elements per line and empty lines."""
    text = re.sub(r"(?<=priority )-?\d+", lambda found: _LISTED_PRIORITIES[found[0]], table_text(table))
    text = re.sub(r"([^,]*,[^,]*), ", r"\1,\n\t\t\t     ", text)
    return text.replace("\t}\n\t", "\t}\n\n\t").rstrip("\n")


def facts(name: str, changes: Mapping[str, SectionOutput] | None = None, *, of: Host | None = None) -> HostFacts:
    """The facts of a recording, by default for the host on which it was recorded."""
    recorder = _RECORDERS.get(name.split("_", maxsplit=1)[0], "host2")
    return parse_facts(of or FLEET.host(recorder), recording(name, changes), NOW)


# An uplink that is large enough for every packet.
WIDE = SmallestUplink("host1", "eth0", 1500, complete=True)


def plan_of(found: HostFacts, of: Host, among: Fleet = FLEET, narrow: SmallestUplink = WIDE) -> HostPlan:
    return plan_host(found, desired(among, of, found, narrow, TEMPLATES), narrow)


_PLAIN = (
    "remove_file",
    "remove_unit",
    "remove_nft_table",
    "restart_docker",
    "put_forwarding",
    "activate_units",
)
_WITH_INPUT = (
    "save_pending",
    "put_file",
    "put_unit",
    "put_stopped_unit",
    "put_accept_rules",
    "put_nft_table",
    "change_routes",
    "restore_routes",
    "restart_docker_with",
)
_TELL = "printf '%s\\0' $(($# + 1)) {} \"$@\";"
Call = tuple[tuple[str, ...], str]


def calls(script: str, function: str) -> list[Call]:
    """The calls of a generated script's `function` in a real shell: the arguments of each step, with its input."""
    own = script
    for text in (
        TEMPLATES.output,
        TEMPLATES.kernel_settings,
        TEMPLATES.facts,
        TEMPLATES.network_steps,
        TEMPLATES.host_steps,
        TEMPLATES.transaction,
    ):
        own = own.replace(text, "")
    plain = (f"{verb}() {{ {_TELL.format(verb)} printf '\\0'; }}" for verb in _PLAIN)
    with_input = (f"{verb}() {{ {_TELL.format(verb)} /bin/cat; printf '\\0'; }}" for verb in _WITH_INPUT)
    prologue = (*plain, *with_input, "run_section() { :; }", "read_facts() { :; }", f"transact() {{ {function}; }}")
    told = run_shell("\n".join((*prologue, own)))
    return list(_calls(told.split("\0")[:-1]))


def _calls(words: list[str]) -> Iterable[Call]:
    at = 0
    while at < len(words):
        after = at + 1 + int(words[at])
        yield tuple(words[at + 1 : after]), words[after]
        at = after + 1


def run_shell(script: str, *options: str, path: str = "/nonexistent") -> str:
    """Run a script with dash, from stdin as on a host; any stderr or a failed status fails the test.

    The script runs without programs and in an empty directory, so that an unquoted value can only fail the test.
    """
    with TemporaryDirectory() as folder:
        ended = subprocess.run(
            ("/bin/dash", *options),
            input=script.encode(),
            capture_output=True,
            check=False,
            timeout=20,
            cwd=folder,
            env={"PATH": path},
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
    return ended.stdout.decode()
