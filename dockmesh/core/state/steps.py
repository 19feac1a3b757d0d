"""Changes as calls of the shell functions in templates/network_steps.sh and host_steps.sh.

Every word is quoted. A here-document passes the content of a resource to its call.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from dockmesh.core.addresses import IPV4, Family, family_of
from dockmesh.core.names import ROUTE_METRIC, ROUTE_PROTOCOL
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.diff import Change, as_additions
from dockmesh.core.state.nft_table import table_text
from dockmesh.core.state.resources import (
    FORWARDING,
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    NftTable,
    Resource,
    Route,
    StrayRoute,
    Unit,
    iptables_command,
    nft_family_name,
)
from dockmesh.core.templates import Templates

# The pattern starts with the rare brace, since a script without IPv6 is searched to its end.
_OF_IPV6 = re.compile(r"\{(?<=\n\{) (?:put_accept_rules ip6tables|put_nft_table ip6|restore_routes 6) ")
_END = "END_OF_INPUT"
_RESTORE_END = ('return "$any_step_failed"', "}")
# The start of the reassert script. The file of that name may be newer than the locked file. Only the first run after a
# transaction writes the holder, to leave idle disks alone. A change that was killed may be pending without its timer.
TAKE_LOCK = """exec 9>>/etc/dockmesh/lock && flock -n 9 && [ /etc/dockmesh/lock -ef /dev/fd/9 ] || exit 0
read -r holder </etc/dockmesh/lock
[ "$holder" = dockmesh.service ] || echo dockmesh.service >/etc/dockmesh/lock
[ ! -e /etc/dockmesh/pending/run ] || systemctl is-active --quiet dockmesh-revert.timer ||
  systemd-run --quiet --timer-property=AccuracySec=100ms --unit=dockmesh-revert.service --on-active=1"""


def reassert_script(state: HostState, texts: Templates) -> str:
    """Return the script with which the host restores its routes and rules; it exits during a transaction.

    It leaves IPv6 forwarding to Docker, which enables it at each start.
    """
    forwarding = tuple(each for each in state.of(Forwarding) if each.family == IPV4)
    wanted: SharedSequence[Resource] = SharedSequence.of(
        forwarding, state.of(NftTable), state.of(AcceptRules), state.of(Route)
    )
    steps = shell_steps(as_additions(wanted), routes="restore_routes")
    restore = ("restore() {", "any_step_failed=0", *(f"{step} || any_step_failed=1" for step in steps), *_RESTORE_END)
    routes = state.of(Route).runs("family", lambda each: family_of(each.prefix))
    families = sorted({each.family for each in state.of(NftTable)} | {family for family, _run in routes})
    end = " ".join(("restore_if_changed", *map(str, families)))
    return "\n".join((texts.output, texts.network_steps, TAKE_LOCK, *restore, end, ""))


def restores_ipv6(reassertion: str) -> bool:
    """Whether a host's reassert script contains IPv6 steps."""
    return _OF_IPV6.search(reassertion) is not None


def shell_steps(changes: Sequence[Change], *, routes: str = "change_routes") -> Iterator[str]:
    """Yield the steps: one batch per family of routes, one call for each other change, then the start of the timers.

    `routes` is the function of the host that makes the changes of routes.
    """
    for what, group in SharedSequence.of(changes).runs("batch", _batch):
        if isinstance(what, int):
            yield with_input(f"{routes} {what}", group.written("route", _route))
            continue
        yield from map(_step, group)
        if what is Unit:
            yield " ".join(("activate_units", *_timers(group)))


def _batch(change: Change) -> Family | type[Unit] | None:
    """The group of changes that share a step or a follow-up."""
    match change.resource:
        case Route(prefix=prefix):
            return family_of(prefix)
        case StrayRoute(family=family):
            return family
        case Unit():
            return Unit
    return None


def _timers(changes: Iterable[Change]) -> Iterator[str]:
    """The names of the timers to start."""
    units = (change.after for change in changes)
    return (
        quote(each.name) for each in units if isinstance(each, Unit) and each.active and each.name.endswith(".timer")
    )


def _step(change: Change) -> str:
    match change.after or change.before:
        case File() as file:
            return _file(change, file)
        case AcceptRules() as rules:
            return _accept_rules(change, rules)
        case NftTable() as table:
            ip = nft_family_name(table.family)
            if change.after is None:
                return f"remove_nft_table {ip}"
            return with_input(f"put_nft_table {ip}", table_text(table))
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
    return with_input(f"put_file {quote(file.path)} {quote(file.mode or '644')}", base64_lines(file.text))


def _bridge(change: Change, bridge: DockerNetworking) -> str:
    pools = "".join(f"{pool.text} {pool.size};" for pool in bridge.pools)
    own = (bridge.address, bridge.address6, pools, bridge.mtu)
    state = " ".join(quote(str(each or "")) for each in (*own, *_admission(change)))
    if bridge.startup_json is None:
        return f"restart_docker {state}"
    return with_input(f"restart_docker_with {state}", base64_lines(bridge.startup_json))


def _admission(change: Change) -> Iterator[str]:
    """The argument of `nft_admission` if the admission changes; `iptables` if Docker has no such setting."""
    before, after = (
        side.admission if isinstance(side, DockerNetworking) else None for side in (change.before, change.after)
    )
    if before != after:
        mark = after and after.mark
        borne = f"0x{mark.value:08x}/0x{mark.mask:08x}" if mark else "none"
        yield f"{borne} {'yes' if after.direct_routing else 'no'}" if after else "iptables"


def _unit(change: Change, unit: Unit) -> str:
    if change.after is None:
        return f"remove_unit {quote(unit.name)}"
    if unit.active:
        return with_input(f"put_unit {quote(unit.name)}", base64_lines(unit.text))
    state = "enabled" if unit.enabled else "disabled"
    return with_input(f"put_stopped_unit {quote(unit.name)} {state}", base64_lines(unit.text))


def _accept_rules(change: Change, each: AcceptRules) -> str:
    place = f"{iptables_command(each.family)} {quote(each.table)} {quote(each.chain)}"
    rules = () if change.after is None else each.rules
    return with_input(f"put_accept_rules {place}", "".join(f"{rule}\n" for rule in rules))


def _forwarding(change: Change, forwarding: Forwarding) -> str:
    """Turning forwarding off also restores the FORWARD policy, which Docker may have changed."""
    on = forwarding.on and change.after is not None
    policy = "" if on or forwarding.policy is None else quote(forwarding.policy)
    command, key = iptables_command(forwarding.family), FORWARDING[forwarding.family]
    return f"put_forwarding {command} {key} {int(on)} {policy}".rstrip()


def _route(change: Change) -> str:
    route = change.resource
    if isinstance(route, StrayRoute):
        # Adding a route that exists fails.
        again = "" if change.after is None else f"route append {route.text}\n"
        return f"route del {route.text}\n{again}"
    assert isinstance(route, Route)  # noqa: S101 (grouped by kind)
    verb = "del" if change.after is None else "replace"
    return f"route {verb} {route.ip_route_args} proto {ROUTE_PROTOCOL} metric {ROUTE_METRIC}\n"


def base64_lines(text: str) -> str:
    """Return the text in base64, in lines of at most 76 characters."""
    content = b64encode(text.encode()).decode()
    return "".join(f"{content[at : at + 76]}\n" for at in range(0, len(content), 76))


def with_input(call: str, text: str) -> str:
    """Return the call with `text` as its standard input."""
    # The braces allow `&&` or `||` after the here-document.
    return f"{{ {call} <<'{_END}'\n{text}{_END}\n}}"
