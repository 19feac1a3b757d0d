"""A host's changes as the transaction its shell runs: the steps forward, and the same steps' inverse as the way back.

The scripts of `templates/` hold the verbs; what is generated here is calls of them, every word quoted.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import groupby
from shlex import quote
from typing import Literal, get_args

from dockmesh.core.facts import DAEMON_JSON, METRIC, PROTOCOL
from dockmesh.core.model import Bridge, Chain, File, Route, key_of
from dockmesh.core.plan import Change, HostPlan
from dockmesh.core.sections import Section, quoted, reading
from dockmesh.errors import HostError

_END = "END_OF_INPUT"
Status = Literal["changed", "reverted", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Scripts:
    """The texts of `templates/`: what every script begins with, what reads a host, what changes one."""

    sections: str
    facts: str
    transaction: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the transaction made of the host: changed, reverted, refused or failed, and why if not changed."""

    status: Status
    error: str | None


def reader(scripts: Scripts, peers: Iterable[IPv4Address]) -> str:
    """The script that reads a host, for stdin of its shell."""
    return "\n".join((scripts.sections, scripts.facts, _peers(peers), "read_facts </dev/null", "section end true", ""))


def transaction(plan: HostPlan, scripts: Scripts, peers: Iterable[IPv4Address], *, run: str) -> str:
    """The script that changes a host, for stdin of its shell. `run` tells others who holds the lock."""
    return "\n".join(
        (
            scripts.sections,
            scripts.facts,
            scripts.transaction,
            _peers(peers),
            f"RUN={quote(run)}",
            f"BASIS={quote(plan.basis)}",
            _forward(plan.changes),
            _back([change.inverse() for change in plan.changes]),
            # Verbs read stdin, and stdin is this script: it must be read to its end first.
            "transact </dev/null",
            "section end true",
            "",
        )
    )


def answer(section: Section) -> Answer:
    """Read the transaction's outcome.

    Raises:
        HostError: the section is not what the transaction writes.
    """
    with reading("outcome"):
        document = json.loads(section.text)
        status, error = document["status"], document["error"]
    if status not in get_args(Status):
        raise HostError(f"the transaction ended as {quoted(str(status))!r}, which dockmesh does not know")
    return Answer(status, quoted(str(error)) or None)


def _peers(peers: Iterable[IPv4Address]) -> str:
    return f"PEERS={quote(' '.join(map(str, peers)))}"


def _forward(changes: Sequence[Change]) -> str:
    """Stops at the first step that fails."""
    return "\n".join(("go_forward() {", *(f"{step} &&" for step in _steps(changes)), "true", "}"))


def _back(changes: Sequence[Change]) -> str:
    """Takes every step, in the same order as forward, since Docker must find its old file; any may have failed."""
    steps = (f"{step} || problem=1" for step in _steps(changes))
    return "\n".join(("go_back() {", "problem=", *steps, '[ -z "$problem" ]', "}"))


def _steps(changes: Sequence[Change]) -> Iterator[str]:
    """Each step is a call with its input as here-document; routes go in one batch."""
    for kind, group in groupby(changes, key=lambda change: key_of(change.resource)[0]):
        if kind == "route":
            yield _with_input("change_routes", "".join(f"{_route(change)}\n" for change in group))
        else:
            yield from map(_step, group)


def _step(change: Change) -> str:
    match change.after or change.before:
        case File() as file:
            return _file(change, file)
        case Chain() as chain:
            return _chain(change, chain)
        case Bridge() as bridge:
            return _bridge(bridge)
        case resource:
            raise AssertionError(resource)


def _file(change: Change, file: File) -> str:
    if change.after is None:
        return f"remove_file {quote(file.path)}"
    return _with_input(f"put_file {quote(file.path)} {quote(file.mode or '644')}", _base64(file.text))


def _bridge(bridge: Bridge) -> str:
    address = quote(str(bridge.address or ""))
    if bridge.way_in is None:
        return f"restart_docker {address}"
    return _with_input(f"restart_docker_by {quote(DAEMON_JSON)} {address}", _base64(bridge.way_in))


def _base64(text: str) -> str:
    content = b64encode(text.encode()).decode()
    return "".join(f"{content[at : at + 76]}\n" for at in range(0, len(content), 76))


def _chain(change: Change, chain: Chain) -> str:
    if change.after is None:
        return f"remove_chain {quote(chain.table)} {quote(chain.name)}"
    rules = "".join(f"-A {chain.name} {rule}\n" for rule in chain.rules)
    hook = chain.hook or "FORWARD"
    return _with_input(
        f"put_chain {quote(chain.table)} {quote(chain.name)} {quote(hook)}",
        f"*{chain.table}\n:{chain.name} - [0:0]\n{rules}COMMIT\n",
    )


def _route(change: Change) -> str:
    route = change.resource
    assert isinstance(route, Route)  # noqa: S101 (grouped by kind)
    verb = "del" if change.after is None else "replace"
    return f"route {verb} {route.prefix} via {route.next_hop} dev {route.device} proto {PROTOCOL} metric {METRIC}"


def _with_input(call: str, text: str) -> str:
    # Grouped, so that what joins the steps can follow the here-document.
    return f"{{ {call} <<'{_END}'\n{text}{_END}\n}}"
