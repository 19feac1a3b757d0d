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

from dockmesh.core import record
from dockmesh.core.facts import METRIC, PROTOCOL
from dockmesh.core.firewall import nft
from dockmesh.core.model import Bridge, Chain, File, HostState, Route, SourceNat, Unit, key_of
from dockmesh.core.plan import Change, HostPlan, ordered
from dockmesh.core.sections import Section, quoted, reading
from dockmesh.core.texts import Texts
from dockmesh.errors import HostError

_END = "END_OF_INPUT"
Status = Literal["changed", "confirmed", "reverted", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script made of the host: changed and waiting, confirmed, reverted, refused or failed; and why."""

    status: Status
    error: str | None


def reader(texts: Texts, peers: Iterable[IPv4Address]) -> str:
    """The script that reads a host, for stdin of its shell."""
    return _script(texts.sections, texts.facts, _peers(peers), call="read_facts")


def transaction(
    plan: HostPlan,
    before: HostState,
    texts: Texts,
    peers: Iterable[IPv4Address],
    *,
    run: str,
    confirm_within_s: int,
) -> str:
    """The script that changes a host, for stdin of its shell; it answers with the outcome and the facts then.

    `run` tells others who holds the lock, and must be given again to confirm; `before` is what rollback comes back to.
    """
    back = _back(ordered(change.inverse() for change in plan.changes))
    revert = _script(texts.sections, texts.verbs, texts.transaction, back, call="revert")
    return _script(
        texts.sections,
        texts.facts,
        texts.verbs,
        texts.transaction,
        _peers(peers),
        f"RUN={quote(run)} BASIS={quote(plan.basis)} CONFIRM_S={confirm_within_s}",
        _forward(plan.changes),
        back,
        _pending(revert, record.dump(before)),
        # Verbs read stdin, and stdin is this script: it must be read to its end first.
        "transact </dev/null",
        call="read_facts",
    )


def confirmation(texts: Texts, *, run: str, remember: bool) -> str:
    """The script that lets the change of `run` stay. `remember`: as what rollback comes back to, take its before."""
    keep = f"RUN={quote(run)} REMEMBER={'yes' if remember else 'no'}"
    return _script(texts.sections, texts.verbs, texts.transaction, keep, call="confirm")


def reversal(texts: Texts) -> str:
    """The script that takes an unconfirmed change back at once."""
    return _script(texts.sections, "sh /etc/dockmesh/pending/revert.sh </dev/null | sed '/^@end /d'", call="true")


def reassertion(state: HostState, texts: Texts) -> str:
    """What the host runs by itself to put its routes and chains back; it leaves a transaction under way alone."""
    wanted = [Change(None, resource) for resource in state.resources if isinstance(resource, Chain | Route | SourceNat)]
    calls = (f"{step} || failed=1" for step in _steps(wanted))
    lock = "exec 9>>/etc/dockmesh/lock && flock -n 9 || exit 0"
    return "\n".join((texts.sections, texts.verbs, lock, "failed=0", *calls, 'exit "$failed"', ""))


def _script(*parts: str, call: str) -> str:
    return "\n".join((*parts, f"{call} </dev/null", "section end true", ""))


def _pending(revert: str, before: str) -> str:
    steps = (
        _with_input("put_file /etc/dockmesh/arming/revert.sh 700", _base64(revert)),
        _with_input("put_file /etc/dockmesh/arming/previous.json 600", _base64(before)),
    )
    return "\n".join(("write_pending() {", " &&\n".join(steps), "}"))


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
    """Takes every step, whichever fails."""
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
        case SourceNat() as nat:
            return "remove_nat" if change.after is None else _with_input("put_nat", nft(nat))
        case Bridge() as bridge:
            return _bridge(bridge)
        case Unit() as unit:
            return _unit(change, unit)
        case resource:
            raise AssertionError(resource)


def _file(change: Change, file: File) -> str:
    if change.after is None:
        return f"remove_file {quote(file.path)}"
    return _with_input(f"put_file {quote(file.path)} {quote(file.mode or '644')}", _base64(file.text))


def _bridge(bridge: Bridge) -> str:
    pools = "".join(f"{pool.base} {pool.size};" for pool in bridge.pools)
    state = f"{quote(str(bridge.address or ''))} {quote(pools)}"
    if bridge.way_in is None:
        return f"restart_docker {state}"
    return _with_input(f"restart_docker_by {state}", _base64(bridge.way_in))


def _base64(text: str) -> str:
    content = b64encode(text.encode()).decode()
    return "".join(f"{content[at : at + 76]}\n" for at in range(0, len(content), 76))


def _unit(change: Change, unit: Unit) -> str:
    if change.after is None or not unit.active:
        return f"remove_unit {quote(unit.name)}"
    return _with_input(f"put_unit {quote(unit.name)}", _base64(unit.text))


def _chain(change: Change, chain: Chain) -> str:
    if change.after is None:
        return f"remove_chain {quote(chain.table)} {quote(chain.name)}"
    rules = "".join(f"-A {chain.name} {rule}\n" for rule in chain.rules)
    # On the way back to a chain without its one jump: back to where dockmesh's own belongs.
    hook = chain.hook or {"raw": "PREROUTING", "nat": "POSTROUTING"}.get(chain.table, "FORWARD")
    return _with_input(f"put_chain {quote(chain.table)} {quote(chain.name)} {quote(hook)}", rules)


def _route(change: Change) -> str:
    route = change.resource
    assert isinstance(route, Route)  # noqa: S101 (grouped by kind)
    verb = "del" if change.after is None else "replace"
    return f"route {verb} {route.prefix} via {route.next_hop} dev {route.device} proto {PROTOCOL} metric {METRIC}"


def _with_input(call: str, text: str) -> str:
    # Grouped, so that what joins the steps can follow the here-document.
    return f"{{ {call} <<'{_END}'\n{text}{_END}\n}}"
