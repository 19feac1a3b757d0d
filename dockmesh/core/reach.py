"""Who reaches whom: what to probe, the scripts that probe it, and what their answers say."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from itertools import islice
from typing import Literal

from dockmesh.core.model import Fleet, Host
from dockmesh.core.sections import Section, quoted, reading
from dockmesh.core.standing import SCRIPT, Standing, standing
from dockmesh.core.texts import Texts

Kind = Literal["host-bridge", "host-container", "container-container"]

# What a reply's TTL is when the packet takes the way it should: 64 where the replying address is the peer host's own,
# one less for each host that forwards the reply.
EXPECTED_TTL: Mapping[Kind, int] = {"host-bridge": 64, "host-container": 63, "container-container": 62}
_OWN_TTL = 64
_COUNT = 3
_INTERVAL_S = 0.2
_WAIT_S = 1
_PARALLEL = 32
_HOLD_S = 120
_CANDIDATES = 16

_TTL = re.compile(r"\bttl=(\d{1,3})\b")
_COUNTS = re.compile(r"\b(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received\b")
_RTT = re.compile(r"= [\d.]{1,12}/(\d{1,8}(?:\.\d{1,6})?)/")
_COMPLAINT = re.compile(
    r"From (\S+).*?(Destination [A-Za-z ]+|Time to live exceeded|Packet filtered|Frag[a-z]+ needed)"
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a host offers to be probed, and where probes from a container of its own start (`pid`).

    `held`: the container is a namespace made for the purpose. An address is None where there is none, and `error`
    says why. `standing` is None where the host could not be read.
    """

    bridge: IPv4Address | None = None
    container: IPv4Address | None = None
    pid: int | None = None
    held: bool = False
    error: str | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to the mesh."""

    source: str
    target: str
    kind: Kind

    @property
    def expected_ttl(self) -> int:
        """The reply's TTL on the right way."""
        return _OWN_TTL if self.source == self.target else EXPECTED_TTL[self.kind]


@dataclass(frozen=True, slots=True)
class Reachability:
    """The answer to a probe. `reason` is None where all is well; `probed` is False where it could not be made.

    `cause`: the reason is what a host lacks, and the same for all the probes that fail for it.
    """

    probe: Probe
    sent: int = 0
    received: int = 0
    ttl: int | None = None
    rtt_ms: float | None = None
    reason: str | None = None
    probed: bool = True
    cause: bool = False

    @property
    def reached(self) -> bool:
        """Whether any reply came."""
        return self.received > 0

    @property
    def ok(self) -> bool:
        """Whether replies came, and by the way they should."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of probes found: the answers, and the hosts that could not be asked."""

    hosts: tuple[str, ...]
    answers: tuple[Reachability, ...]
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Reachability, ...]:
        """The answers that are not as they should be."""
        return tuple(answer for answer in self.answers if not answer.ok)

    @property
    def unmade(self) -> tuple[Reachability, ...]:
        """Of the failed, the probes that could not be made."""
        return tuple(answer for answer in self.failed if not answer.probed)

    @property
    def ok(self) -> bool:
        """Whether everything that should be reached is."""
        return not self.failed and not self.errors


def probes(fleet: Fleet, sources: Iterable[Host], about: Collection[str] | None = None) -> Iterator[Probe]:
    """The questions of a status: each source asks for every host that has something to be reached, itself included.

    With `about`, only the pairs in which one of these hosts is source or target.
    """
    for source in sources:
        for target in fleet.hosts:
            if about is not None and source.name not in about and target.name not in about:
                continue
            if target.prefix and source.name != target.name:
                yield Probe(source.name, target.name, "host-bridge")
            if target.docker:
                yield Probe(source.name, target.name, "host-container")
                if source.docker and source.name != target.name:
                    yield Probe(source.name, target.name, "container-container")


def target_script(host: Host, texts: Texts, *, offset: int, hold_s: int = _HOLD_S) -> str:
    """The script that finds, or makes, what `host` offers to be probed, for at most `hold_s` seconds.

    `offset` spreads concurrent runs' choices.
    """
    lines = (texts.sections, texts.probe, *target_lines(host, offset=offset, hold_s=hold_s))
    return "\n".join((*lines, "section end true", ""))


def target_lines(host: Host, *, offset: int, hold_s: int) -> Iterator[str]:
    """What of `target_script` stands behind sections.sh and probe.sh."""
    yield "section addresses ip -o -4 addr show"
    yield SCRIPT
    if host.bridge:
        network = host.bridge.network
        count = network.num_addresses - 2
        downwards = (network[1 + (count - 1 - offset - at) % count] for at in range(count))
        free = islice((address for address in downwards if address != host.bridge.ip), _CANDIDATES)
        words = (str(hold_s), str(host.bridge.ip), str(network.prefixlen), *map(str, free))
        yield f"section target container_target {' '.join(words)}"


def target(host: Host, sections: Mapping[str, Section]) -> Target:
    """Read the answer of `target_script`.

    Raises:
        HostError: it is not what the script writes.
    """
    found = standing(sections)
    if not host.docker:
        return Target(bridge=_address_within(host, sections["addresses"]), standing=found)
    bridge = host.bridge.ip if host.bridge else None
    section = sections["target"]
    if section.status != 0:
        return Target(bridge=bridge, error=_no_container(host, section), standing=found)
    with reading("target"):
        address, pid, what = section.text.split()
        return Target(bridge, IPv4Address(address), int(pid), held=what == "namespace", standing=found)


def unread(host: Host) -> Target:
    """What a host that could not be asked offers all the same: the bridge that the inventory gives it."""
    error = f"{host.name} could not be asked for it"
    return Target(bridge=host.bridge.ip if host.bridge else None, error=error)


def _no_container(host: Host, section: Section) -> str:
    if section.text == "docker.service is not active":
        return f"Docker is not running on {host.name}: systemctl start docker"
    return f"{host.name} has no container to probe: {quoted(section.text)}"


def row_script(questions: Sequence[Probe], targets: Mapping[str, Target], texts: Texts, *, pid: int | None) -> str:
    """The script that asks all of one host's questions, several at once."""
    lines = (f"{question.kind} {_asked(question, targets)}" for question in questions)
    asked = "".join(f"{line}\n" for line in lines if not line.endswith(" None"))
    row = f"row {_COUNT} {_INTERVAL_S} {_WAIT_S} {_PARALLEL} {pid or 0}"
    return "\n".join(
        (
            texts.sections,
            texts.probe,
            f"probes() {{ {row} <<'END'\n{asked}END\n}}",
            "section probes probes",
            "section end true",
            "",
        )
    )


def release_script(pid: int, texts: Texts) -> str:
    """The script that ends a namespace held for probing."""
    return "\n".join((texts.sections, texts.probe, f"section release release {pid}", "section end true", ""))


def answers(questions: Sequence[Probe], targets: Mapping[str, Target], section: Section) -> Iterator[Reachability]:
    """Read the answer of `row_script`: one Reachability per question, in their order."""
    said = {}
    for line in section.lines():
        kind, _, rest = line.partition(" ")
        address, _, text = rest.partition(" ")
        said[kind, address] = text
    for question in questions:
        asked = _asked(question, targets)
        if asked is None:
            yield Reachability(question, reason=_lack(question, targets), probed=False)
        else:
            yield _reachability(question, said.get((question.kind, str(asked)), ""))


def unasked(questions: Iterable[Probe], error: str) -> Iterator[Reachability]:
    """The answers of a host that could not be asked."""
    return (Reachability(question, reason=error, probed=False) for question in questions)


def duration_s(questions: Sequence[Probe]) -> float:
    """How long a row may take on the host when no probe is answered, in seconds."""
    rounds = -(-len(questions) // _PARALLEL)
    return rounds * (_COUNT * max(_INTERVAL_S, _WAIT_S) + _WAIT_S)


def report(
    fleet: Fleet,
    questions: Mapping[str, Sequence[Probe]],
    rows: Mapping[str, Sequence[Reachability]],
    errors: Mapping[str, str],
) -> Report:
    """All rows as one report, in the fleet's order; the questions of a host without a row count as failed."""
    names = tuple(host.name for host in fleet.hosts)
    answered = (
        rows[name] if name in rows else unasked(questions[name], f"{name} could not be asked: {errors.get(name)}")
        for name in names
        if name in questions
    )
    return Report(
        names,
        tuple(answer for row in answered for answer in row),
        {n: errors[n] for n in names if n in errors},
    )


def _lack(question: Probe, targets: Mapping[str, Target]) -> str:
    """Why a question is not asked."""
    ends = (question.target, question.source) if question.kind == "container-container" else (question.target,)
    errors = (targets[name].error for name in ends if name in targets)
    return next((error for error in errors if error), f"{question.target} has no address to probe")


def _asked(question: Probe, targets: Mapping[str, Target]) -> IPv4Address | None:
    offered = targets.get(question.target, Target())
    if question.kind == "container-container" and targets.get(question.source, Target()).pid is None:
        return None
    return offered.bridge if question.kind == "host-bridge" else offered.container


def _address_within(host: Host, section: Section) -> IPv4Address | None:
    """The address a host without Docker has in its prefix, on whichever bridge."""
    for line in section.lines():
        words = line.split()
        try:
            address = IPv4Address(words[words.index("inet") + 1].split("/")[0])
        except (ValueError, IndexError, AddressValueError):
            continue
        if host.prefix and address in host.prefix:
            return address
    return None


def _reachability(question: Probe, said: str) -> Reachability:
    counts = _COUNTS.search(said)
    if counts is None:
        return Reachability(question, reason=quoted(said.replace("|", " ")) or "the host ran no ping for it")
    sent, received = int(counts[1]), int(counts[2])
    ttl_found, rtt_found = _TTL.search(said), _RTT.search(said)
    ttl = int(ttl_found[1]) if ttl_found else None
    return Reachability(
        question,
        sent,
        received,
        ttl,
        float(rtt_found[1]) if rtt_found else None,
        _reason(question, received=received, ttl=ttl, said=said),
    )


def _reason(question: Probe, *, received: int, ttl: int | None, said: str) -> str | None:
    if received == 0:
        complaint = _COMPLAINT.search(said)
        return f"{quoted(complaint[2])}, says {quoted(complaint[1])}" if complaint else "no reply"
    if ttl != question.expected_ttl:
        why = "a nearer machine has that address" if (ttl or 0) > question.expected_ttl else "it took a longer way"
        return f"the reply's TTL is {ttl}, not {question.expected_ttl}: {why}"
    return None
