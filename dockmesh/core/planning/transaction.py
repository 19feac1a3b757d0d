"""A host's changes as the transaction its shell runs: the steps forward, and the same steps' inverse as the way back.

The scripts of `templates/` hold the verbs; what is generated here is calls of them, every word quoted.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Literal, get_args

from dockmesh.core.addresses import FAMILIES, IPV4, IPV6, Address, Family, family_of
from dockmesh.core.desired.firewall import iptables_command, nft
from dockmesh.core.facts.iproute import METRIC, PROTOCOL
from dockmesh.core.host_output import Section, parsing, sanitize
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state import codec
from dockmesh.core.state.diff import Change, as_additions, ordered
from dockmesh.core.state.resources import (
    FORWARDING,
    Chain,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    Resource,
    Route,
    SourceNat,
    Unit,
    nft_family_name,
)
from dockmesh.core.templates import Templates
from dockmesh.errors import HostError, HostErrorCode

_END = "END_OF_INPUT"
_REVERSAL = """said=$(sh /etc/dockmesh/pending/revert.sh 2>&1 </dev/null | sed '/^@end /d')
case "$said" in
  *@outcome*) printf '%s\\n' "$said" ;;
  *) [ -e /etc/dockmesh/pending/run ] || section outcome echo '{"status": "reverted", "code": "", "error": ""}' ;;
esac"""
# The brace comes first, as it is rare: where nothing of IPv6 is to be found, all of a long text is searched.
_OF_IPV6 = re.compile(r"\{(?<=\n\{) (?:put_chain ip6tables|put_nat ip6|change_routes 6) ")
_CODE = re.compile(r"(?:[a-z][a-z0-9-]{0,39})?")
Status = Literal["changed", "confirmed", "reverted", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """What a script made of the host: changed and waiting, confirmed, reverted, refused or failed; and why.

    `code` is the kind of the error, an OutcomeCode as `templates/transaction.sh` writes it.
    """

    status: Status
    code: str | None
    error: str | None


def facts_script(texts: Templates, peers: Iterable[Address]) -> str:
    """The script that reads a host, for stdin of its shell."""
    return _script(texts.sections, texts.kernel, texts.facts, _peers(peers), call="read_facts")


def transaction_script(
    plan: HostPlan,
    before: HostState,
    texts: Templates,
    peers: Iterable[Address],
    *,
    run: str,
    confirm_within_s: int,
) -> str:
    """The script that changes a host, for stdin of its shell; it answers with the outcome and the facts then.

    `run` tells others who holds the lock, and must be given again to confirm; `before` is what rollback comes back to.
    """
    back = _back(ordered(SharedSequence.of(plan.changes).mapped("inverse", Change.inverse)))
    revert = _script(texts.sections, texts.verbs, texts.transaction, back, call="revert")
    return _script(
        texts.sections,
        texts.kernel,
        texts.facts,
        texts.verbs,
        texts.transaction,
        _peers(peers),
        f"RUN={quote(run)} BASIS={quote(plan.basis)} CONFIRM_S={confirm_within_s}",
        _forward(plan.changes),
        back,
        _pending(revert, codec.dump_state(before)),
        # Verbs read stdin, and stdin is this script: it must be read to its end first.
        "transact </dev/null",
        call="read_facts",
    )


def confirm_script(texts: Templates, *, run: str, remember: bool) -> str:
    """The script that lets the change of `run` stay. `remember`: as what rollback comes back to, take its before."""
    keep = f"RUN={quote(run)} REMEMBER={'yes' if remember else 'no'}"
    return _script(texts.sections, texts.verbs, texts.transaction, keep, call="confirm")


def revert_script(texts: Templates) -> str:
    """The script that takes an unconfirmed change back at once, unless the host is just through with that itself."""
    return _script(texts.sections, _REVERSAL, call="true")


def reassert_script(state: HostState, texts: Templates) -> str:
    """What the host runs by itself to put its routes and rules back; it leaves a transaction under way alone.

    Forwarding of IPv6 is Docker's to switch on, at each of its starts.
    """
    switches = (each for each in state.of(Forwarding) if each.family == IPV4)
    wanted: SharedSequence[Resource] = SharedSequence.of(
        switches, state.of(Chain), state.of(SourceNat), state.of(Route)
    )
    calls = (f"{step} || failed=1" for step in _steps(as_additions(wanted)))
    lock = "exec 9>>/etc/dockmesh/lock && flock -n 9 || exit 0"
    return "\n".join((texts.sections, texts.verbs, lock, "failed=0", *calls, 'exit "$failed"', ""))


def restores_ipv6(reassertion: str) -> bool:
    """Whether a host's reassertion has to do with IPv6."""
    return _OF_IPV6.search(reassertion) is not None


def _script(*parts: str, call: str) -> str:
    return "\n".join((*parts, f"{call} </dev/null", "section end true", ""))


def _pending(revert: str, before: str) -> str:
    steps = (
        _with_input("keep revert.sh", _base64(revert)),
        _with_input("keep previous.json", _base64(before)),
    )
    return "\n".join(("write_pending() {", " &&\n".join(steps), "}"))


def parse_outcome(section: Section) -> TransactionOutcome:
    """Read the transaction's outcome.

    Raises:
        HostError: the section is not what the transaction writes.
    """
    with parsing("outcome"):
        document = json.loads(section.text)
        status, code, error = document["status"], document["code"], document["error"]
        if not _CODE.fullmatch(code):
            raise ValueError(code)
    if status not in get_args(Status):
        raise HostError(
            f"the transaction ended as {sanitize(str(status))!r}, which dockmesh does not know",
            code=HostErrorCode.ANSWER_UNREADABLE,
        )
    return TransactionOutcome(status, code or None, sanitize(str(error)) or None)


def _peers(peers: Iterable[Address]) -> str:
    of = dict.fromkeys(FAMILIES, "")
    for family, run in SharedSequence.of(peers).runs("family", family_of):
        of[family] += run.written("peer", lambda peer: f"{peer} ")
    return f"PEERS={quote(of[IPV4].rstrip())} PEERS6={quote(of[IPV6].rstrip())}"


def _forward(changes: Sequence[Change]) -> str:
    """Stops at the first step that fails."""
    return "\n".join(("go_forward() {", *(f"{step} &&" for step in _steps(changes)), "true", "}"))


def _back(changes: Sequence[Change]) -> str:
    """Takes every step, whichever fails."""
    steps = (f"{step} || problem=1" for step in _steps(changes))
    return "\n".join(("go_back() {", "problem=", *steps, '[ -z "$problem" ]', "}"))


def _steps(changes: Sequence[Change]) -> Iterator[str]:
    """Each step is a call with its input as here-document; routes of a family go in one batch, units are settled."""
    for what, group in SharedSequence.of(changes).runs("batch", _batch):
        if isinstance(what, int):
            yield _with_input(f"change_routes {what}", group.written("route", _route))
            continue
        yield from map(_step, group)
        if what is Unit:
            yield " ".join(("settle_units", *_timers(group)))


def _batch(change: Change) -> Family | type[Unit] | None:
    """What a change is made together with."""
    match change.resource:
        case Route(prefix=prefix):
            return family_of(prefix)
        case Unit():
            return Unit
    return None


def _timers(changes: Iterable[Change]) -> Iterator[str]:
    """Those of the units put that shall run."""
    units = (change.after for change in changes)
    return (
        quote(each.name) for each in units if isinstance(each, Unit) and each.active and each.name.endswith(".timer")
    )


def _step(change: Change) -> str:
    match change.after or change.before:
        case File() as file:
            return _file(change, file)
        case Chain() as chain:
            return _chain(change, chain)
        case SourceNat() as nat:
            ip = nft_family_name(nat.family)
            return f"remove_nat {ip}" if change.after is None else _with_input(f"put_nat {ip}", nft(nat))
        case DockerNetworking() as bridge:
            return _bridge(change, bridge)
        case Unit() as unit:
            return _unit(change, unit)
        case Forwarding() as forwarding:
            return _forwarding(change, forwarding)
        case resource:
            raise AssertionError(resource)


def _file(change: Change, file: File) -> str:
    if change.after is None:
        return f"remove_file {quote(file.path)}"
    return _with_input(f"put_file {quote(file.path)} {quote(file.mode or '644')}", _base64(file.text))


def _bridge(change: Change, bridge: DockerNetworking) -> str:
    pools = "".join(f"{pool.base} {pool.size};" for pool in bridge.pools)
    own = (bridge.address, bridge.address6, pools, bridge.mtu)
    state = " ".join(quote(str(each or "")) for each in (*own, *_admission(change)))
    if bridge.startup_json is None:
        return f"restart_docker {state}"
    return _with_input(f"restart_docker_by {state}", _base64(bridge.startup_json))


def _admission(change: Change) -> Iterator[str]:
    """What Docker shall let in, in the words of `docker_admits`, if that changes. With iptables, none can be told."""
    before, after = (
        side.admission if isinstance(side, DockerNetworking) else None for side in (change.before, change.after)
    )
    if before != after:
        mark = after and after.mark
        borne = f"0x{mark.value:08x}/0x{mark.mask:08x}" if mark else "none"
        yield f"{borne} {'yes' if after.direct_routing else 'no'}" if after else "iptables"


def _base64(text: str) -> str:
    content = b64encode(text.encode()).decode()
    return "".join(f"{content[at : at + 76]}\n" for at in range(0, len(content), 76))


def _unit(change: Change, unit: Unit) -> str:
    if change.after is None or not unit.active:
        return f"remove_unit {quote(unit.name)}"
    return _with_input(f"put_unit {quote(unit.name)}", _base64(unit.text))


def _chain(change: Change, chain: Chain) -> str:
    own = f"{iptables_command(chain.family)} {quote(chain.table)} {quote(chain.name)}"
    if change.after is None:
        return f"remove_chain {own}"
    rules = SharedSequence.of(chain.rules).written(("rule", chain.name), lambda rule: f"-A {chain.name} {rule}\n")
    # On the way back to a chain without its one jump: back to where dockmesh's own belongs.
    hook = chain.hook or {"raw": "PREROUTING", "nat": "POSTROUTING"}.get(chain.table, "FORWARD")
    return _with_input(f"put_chain {own} {quote(hook)}", rules)


def _forwarding(change: Change, forwarding: Forwarding) -> str:
    """Switched off, it takes the policy along that Docker may have set when it was switched on."""
    on = forwarding.on and change.after is not None
    policy = "" if on or forwarding.policy is None else quote(forwarding.policy)
    command, key = iptables_command(forwarding.family), FORWARDING[forwarding.family]
    return f"put_forwarding {command} {key} {int(on)} {policy}".rstrip()


def _route(change: Change) -> str:
    route = change.resource
    assert isinstance(route, Route)  # noqa: S101 (grouped by kind)
    verb = "del" if change.after is None else "replace"
    return f"route {verb} {route.ip_route_args} proto {PROTOCOL} metric {METRIC}\n"


def _with_input(call: str, text: str) -> str:
    # Grouped, so that what joins the steps can follow the here-document.
    return f"{{ {call} <<'{_END}'\n{text}{_END}\n}}"
