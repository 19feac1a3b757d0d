"""The scripts that run on a host. Every value reaches the shell unchanged."""

import fcntl
import json
import re
from base64 import b64decode
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from itertools import groupby
from pathlib import Path
from shlex import quote

import pytest
from builders import FLEET, GENERATIONS, Call, calls, facts, plan_of, run_shell
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ADMISSIONS, POOLS

from dockmesh.core.facts.script import facts_script
from dockmesh.core.host_output import Section, split
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT, REVERTED_RECORD
from dockmesh.core.planning import transaction
from dockmesh.core.planning.plan import HostPlan, OutcomeCode
from dockmesh.core.state import codec, steps
from dockmesh.core.state.diff import Change, difference, ordered
from dockmesh.core.state.nft_table import table_text
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    HostState,
    NftTable,
    PeerSet,
    Resource,
    Route,
    Unit,
    key_of,
)
from dockmesh.errors import HostError
from dockmesh.pipeline import TEMPLATES
from dockmesh.remote import hosts

# Each stops or confuses a shell that runs it as code, without other harm.
HOSTILE = st.sampled_from(
    [
        "$(exit 9)",
        "`exit 9`",
        "; exit 9;",
        "'; exit 9; '",
        '"$PATH"',
        "&& exit 9",
        "|| exit 9",
        "\\",
        "-n",
        "*",
        "#",
        "}",
        "a b",
        "a\tb",
        "END_OF_INPUT",
        "ä\u2028\x1b[31m\x7f",
        "",
    ]
)
LINES = HOSTILE | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\n\r"))
TEXT = st.lists(LINES, max_size=4).map("\n".join)
RESOURCES: st.SearchStrategy[Resource] = st.one_of(
    st.builds(
        Route,
        st.integers(0, 255).map(lambda at: IPv4Network((0x0A000000 + at * 256, 24))),
        st.just(IPv4Address("192.168.0.1")),
        LINES,
    ),
    st.builds(
        File, st.one_of(st.sampled_from([DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT]), TEXT), TEXT, st.none() | TEXT
    ),
    st.builds(Unit, TEXT, TEXT, st.booleans()),
    st.builds(
        DockerNetworking,
        st.none() | st.just(IPv4Interface("10.0.0.1/24")),
        st.lists(POOLS, max_size=2).map(tuple),
        st.none() | TEXT,
        mtu=st.sampled_from([1400, 1500]),
        admission=st.none() | ADMISSIONS,
    ),
    st.builds(
        NftTable,
        st.just((PeerSet("peers", (IPv4Network("10.1.0.0/16"),)),)),
        st.lists(LINES, max_size=2).map(tuple),
    ),
    st.just(NftTable((PeerSet("peers", (IPv6Network("fd00:2::/64"),)),), ("chain inbound {", "}"), 6)),
    st.builds(Route, st.just(IPv6Network("fd00:2::/64")), st.just(IPv6Address("fd00::2")), TEXT),
    st.builds(Forwarding, st.sampled_from([4, 6]), st.booleans(), st.sampled_from([None, "ACCEPT", "DROP"])),
    st.builds(AcceptRules, TEXT, TEXT, st.lists(LINES, max_size=3).map(tuple), st.sampled_from([4, 6])),
)
STATES = st.lists(RESOURCES, unique_by=key_of, max_size=6).map(lambda resources: HostState(tuple(resources)))
PEERS = [IPv4Address("192.168.0.7"), IPv4Address("192.168.0.8")]


def script_of(plan: HostPlan, before: HostState = HostState(), run: str = "me") -> str:  # noqa: B008 (frozen)
    return transaction.transaction_script(plan, before, TEMPLATES, PEERS, run=run, confirm_within_s=60)


def expected_call(change: Change) -> Call:
    """The shell function, arguments and input that make a change."""
    gone = change.after is None
    match change.resource:
        case Route() as route:
            verb = "del" if gone else "replace"
            line = f"route {verb} {route.prefix} via {route.next_hop} dev {route.device} proto 201 metric 4201\n"
            return ("change_routes", str(route.prefix.version)), line
        case File(path, text, mode):
            return (("remove_file", path), "") if gone else (("put_file", path, mode or "644"), text)
        case Unit(name, text, active, enabled):
            words = ("put_unit", name) if active else ("put_stopped_unit", name, "enabled" if enabled else "disabled")
            return (("remove_unit", name), "") if gone else (words, text)
        case NftTable() as table:
            ip = "ip" if table.family == 4 else "ip6"
            return (("remove_nft_table", ip), "") if gone else (("put_nft_table", ip), table_text(table))
        case DockerNetworking() | Forwarding():
            return docker_call(change)
        case AcceptRules(table, chain, rules, family):
            lines = "" if gone else "".join(f"{rule}\n" for rule in rules)
            return ("put_accept_rules", "iptables" if family == 4 else "ip6tables", table, chain), lines


def docker_call(change: Change) -> Call:
    if isinstance(change.resource, Forwarding):
        family, on = change.resource.family, change.resource.on and change.after is not None
        words = ("iptables", "net.ipv4.ip_forward") if family == 4 else ("ip6tables", "net.ipv6.conf.all.forwarding")
        policy = change.resource.policy
        return ("put_forwarding", *words, str(int(on)), *([policy] if policy and not on else [])), ""
    assert isinstance(change.resource, DockerNetworking)
    bridge = change.resource
    pools = "".join(f"{pool.base} {pool.size};" for pool in bridge.pools)
    own = str(bridge.address or ""), str(bridge.address6 or ""), pools, str(bridge.mtu)
    words = *own, *admission_words(change.before, change.after)
    return (
        (("restart_docker", *words), "")
        if bridge.startup_json is None
        else (("restart_docker_with", *words), bridge.startup_json)
    )


def admission_words(before: Resource | None, after: Resource | None) -> tuple[str, ...]:
    """The argument with Docker's admission, if that changes."""
    was, becomes = (side.admission if isinstance(side, DockerNetworking) else None for side in (before, after))
    if was == becomes:
        return ()
    if becomes is None:
        return ("iptables",)
    borne = f"0x{becomes.mark.value:08x}/0x{becomes.mark.mask:08x}" if becomes.mark else "none"
    return (f"{borne} {'yes' if becomes.direct_routing else 'no'}",)


def decoded(found: list[Call]) -> list[Call]:
    """The calls with their input decoded."""
    coded = {"save_pending", "put_file", "put_unit", "put_stopped_unit", "restart_docker_with"}
    return [(words, b64decode(given).decode() if words[0] in coded else given) for words, given in found]


def _is_unit(call: Call) -> bool:
    return call[0][0] in {"put_unit", "put_stopped_unit", "remove_unit"}


def with_activation(units: bool, group: list[Call]) -> list[Call]:
    timers = (words[1] for words, _given in group if words[0] == "put_unit" and words[1].endswith(".timer"))
    return [*group, (("activate_units", *timers), "")] if units else group


def batched(wanted: list[Call]) -> list[Call]:
    """Consecutive routes form one batch; consecutive units share one `settle_units`."""
    result: list[Call] = []
    wanted = [call for units, group in groupby(wanted, _is_unit) for call in with_activation(units, list(group))]
    for words, fed in wanted:
        if words[0] == "change_routes" and result and result[-1][0] == words:
            result[-1] = (words, result[-1][1] + fed)
        else:
            result.append((words, fed))
    return result


@settings(max_examples=20)  # each starts a shell
@given(STATES, STATES)
def test_the_shell_makes_the_planned_changes_and_their_inverse(before: HostState, after: HostState) -> None:
    changes = difference(before, after)
    text = script_of(HostPlan("h", changes))
    assert decoded(calls(text, "apply_steps")) == batched([expected_call(change) for change in changes])
    back = ordered(change.inverse() for change in changes)
    assert decoded(calls(text, "revert_steps")) == batched([expected_call(change) for change in back])


@settings(max_examples=15)
@given(STATES, TEXT, TEXT)
def test_run_basis_and_peers_reach_the_shell_unchanged(state: HostState, run: str, basis: str) -> None:
    text = script_of(HostPlan("h", basis=basis), state, run)
    (told,) = calls(text, 'put_file "$RUN" "$BASIS" "$PEERS" "$CONFIRM_S" </dev/null')
    assert told == (("put_file", run, basis, "192.168.0.7 192.168.0.8", "60"), "")
    (revert, previous) = decoded(calls(text, "write_pending"))
    assert revert[0] == ("save_pending", "revert.sh")
    run_shell(revert[1], "-n")
    assert previous == (("save_pending", "previous.json"), codec.dump_state(state))


@settings(max_examples=15)
@given(STATES, TEXT, st.booleans())
def test_every_generated_script_is_valid_posix_sh(state: HostState, run: str, remember: bool) -> None:
    texts = (
        script_of(HostPlan("h", difference(HostState(), state)), state, run),
        transaction.confirm_script(TEMPLATES, run=run, remember=remember),
        transaction.revert_script(TEMPLATES, run=run),
        steps.reassert_script(state, TEMPLATES),
        facts_script(TEMPLATES, PEERS),
    )
    for text in texts:
        run_shell(text, "-n")


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_revert_undoes_the_changes_of_a_real_host(generation: str) -> None:
    found = facts(f"{generation}_fresh")
    plan = plan_of(found, FLEET.host(found.host))
    text = script_of(plan, found.actual)
    forward, back = calls(text, "apply_steps"), calls(text, "revert_steps")
    assert [words[0] for words, _given in forward] == [
        *["put_file"] * 3,
        "put_nft_table",
        "restart_docker",
        *["put_accept_rules"] * 2,
        "change_routes",
        *["put_unit"] * 2,
        "activate_units",
    ]
    assert forward[-1] == (("activate_units", "dockmesh.timer"), "")
    assert [words[0] for words, _given in back] == [
        *["remove_unit"] * 2,
        "activate_units",
        *["remove_file"] * 2,
        "restart_docker_with",
        *["put_accept_rules"] * 2,
        "remove_nft_table",
        "change_routes",
        "remove_file",
    ]
    assert {line.split()[1] for _words, given in back[-2:-1] for line in given.splitlines()} == {"del"}


def test_a_change_stops_at_a_failure_and_a_revert_continues() -> None:
    changes = difference(
        HostState(), HostState((File(DAEMON_JSON, "{}"), Unit("dockmesh.timer", ""), DockerNetworking(None)))
    )
    text = script_of(HostPlan("h", changes)).replace("transact </dev/null", "")
    failing = "put_file() { echo put_file >&3; return 1; }\nremove_file() { echo remove_file >&3; return 1; }\n"
    others = "".join(
        f"{verb}() {{ echo {verb} >&3; }}\n" for verb in ("restart_docker", "put_unit", "remove_unit", "activate_units")
    )
    body = text.split("CONFIRM_S=60\n")[1].split("write_pending()")[0]
    stubs = f"{failing}{others}exec 3>&1\n{body}"
    assert run_shell(f"{stubs}apply_steps; echo $?") == "put_file\n1\n"
    assert run_shell(f"{stubs}revert_steps; echo $?") == "remove_unit\nactivate_units\nremove_file\nrestart_docker\n1\n"


def test_no_step_sets_the_variable_that_collects_failures() -> None:
    flag = "any_step_failed"
    state = HostState((File(DAEMON_JSON, "{}"), Unit("dockmesh.timer", ""), DockerNetworking(None)))
    assert f"|| {flag}=1" in script_of(HostPlan("h", difference(HostState(), state)))
    assert f"|| {flag}=1" in steps.reassert_script(facts("forky_joined").actual, TEMPLATES)
    texts = (TEMPLATES.output, TEMPLATES.facts, TEMPLATES.network_steps, TEMPLATES.host_steps, TEMPLATES.transaction)
    assert [text for text in texts if flag in text] == []


def is_restored(change: Change) -> bool:
    return isinstance(change.resource, AcceptRules | NftTable | Route)


def test_the_reassert_script_restores_only_rules_and_routes() -> None:
    found = facts("forky_joined")
    text = steps.reassert_script(found.actual, TEMPLATES)
    own = text.replace(steps.TAKE_LOCK, "").replace("restore_if_changed 4", "restore")
    wanted = [expected_call(change) for change in difference(HostState(), found.actual) if is_restored(change)]
    restored = [
        ((call[0].replace("change_routes", "restore_routes"), *call[1:]), lines) for call, lines in batched(wanted)
    ]
    assert calls(own, ":") == restored
    assert steps.reassert_script(found.actual, replace(TEMPLATES, facts="x")) == text


@pytest.mark.parametrize(
    ("states", "prints", "stored"),
    [
        ("new new", "", "new"),
        ("old", "", "old"),
        ("new new", "restored: a", "old"),
        # Another program changed something during the run.
        ("new newer", "", "old"),
        # No checksum, because a program could not start.
        ("", "", None),
    ],
)
def test_only_a_state_without_anything_to_restore_is_stored(
    states: str, prints: str, stored: str | None, tmp_path: Path
) -> None:
    checksum = tmp_path / "restored"
    if stored:
        checksum.write_text("old\n")
    (tmp_path / "states").write_text("".join(f"{each}\n" for each in states.split()))
    restore = f"restore() {{ echo ran >&3; {f'echo {prints}' if prints else ':'}; }}"
    # Each call of kernel_state, in a subshell, reads the next state.
    script = f"""{TEMPLATES.output}{TEMPLATES.network_steps}
exec 3>&1 4<{tmp_path}/states
RESTORED={checksum} PROBLEMS={tmp_path}/problems
kernel_state() {{ read -r next <&4; echo $next; }}
sort() {{ cat; }}
{restore}
restore_if_changed 4
"""
    ran = run_shell(script, path="/usr/bin:/bin")
    assert ("ran" in ran) is (states != "old")
    assert (checksum.read_text() if checksum.exists() else None) == (f"{stored}\n" if stored else None)


def test_the_facts_script_gets_every_peer() -> None:
    (told,) = calls(facts_script(TEMPLATES, PEERS) + "\ntransact", 'put_file "$PEERS" </dev/null')
    assert told[0] == ("put_file", "192.168.0.7 192.168.0.8")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ('{"status": "changed", "code": "", "error": ""}', transaction.TransactionOutcome("changed", None, None)),
        (
            '{"status": "reverted", "code": "no-space", "error": "no\\u001b[31m space"}',
            transaction.TransactionOutcome("reverted", "no-space", "no space"),
        ),
        (
            '{"status": "refused", "code": "locked", "error": "locked by ann", "more": 1}',
            transaction.TransactionOutcome("refused", "locked", "locked by ann"),
        ),
    ],
)
def test_an_outcome_is_parsed(said: str, answer: transaction.TransactionOutcome) -> None:
    assert transaction.parse_outcome(Section(0, said)) == answer


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{}",
        "{",
        '{"status": "fine", "code": "", "error": ""}',
        '{"status": [], "code": "", "error": 1}',
        '{"status": "changed", "error": ""}',
        '{"status": "failed", "code": null, "error": ""}',
        '{"status": "failed", "code": "a b", "error": ""}',
        '{"status": "failed", "code": "Locked", "error": ""}',
        '{"status": "failed", "code": "locked\\n", "error": ""}',
        '{"status": "failed", "code": "a123456789012345678901234567890123456789-", "error": ""}',
    ],
)
def test_an_unknown_outcome_is_a_host_error(said: str) -> None:
    with pytest.raises(HostError) as raised:
        transaction.parse_outcome(Section(0, said))
    assert raised.value.code == "answer-unreadable"


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (1, "sh: write error: No space left on device", "no-space"),
        (77, "dockerd: write /var/lib/docker: No space left on device", "no-space"),
        (1, "mktemp: Disk quota exceeded", "no-space"),
        (1, "mktemp: failed to create file: Read-only file system", "read-only"),
        (77, "docker.service: start request repeated too quickly", "docker-failed"),
        (1, "ip ended early", "step-failed"),
        (1, "", "step-failed"),
    ],
)
def test_each_failure_of_the_transaction_has_a_code(status: int, text: str, code: str) -> None:
    assert outcome_of(
        f'emit_outcome reverted "$(error_code {status} {quote(text)})" {quote(text)}'
    ) == transaction.TransactionOutcome("reverted", code, text or None)


STUBS = """PENDING=/nonexistent BASIS=b RUN=r CONFIRM_S=1 docker_running=
read_all() { :; }; read_basis() { :; }; fingerprint() { echo b; }
arm_revert() { :; }; disarm_revert() { :; }; sync_names() { :; }; systemctl() { :; }; start_revert_timer() { :; }"""


@pytest.mark.parametrize(
    ("forward", "back", "answer"),
    [
        ("true", "true", transaction.TransactionOutcome("changed", None, None)),
        ("echo no; return 77", "true", transaction.TransactionOutcome("reverted", "docker-failed", "no")),
        ("echo no; return 1", "true", transaction.TransactionOutcome("reverted", "step-failed", "no")),
        (
            "echo 'a: Read-only file system'; return 1",
            "true",
            transaction.TransactionOutcome("reverted", "read-only", None),
        ),
        ("echo no; return 77", "return 1", transaction.TransactionOutcome("failed", "revert-failed", None)),
    ],
)
def test_a_change_reports_the_code_of_the_failed_step(
    forward: str, back: str, answer: transaction.TransactionOutcome
) -> None:
    found = outcome_of(f"{STUBS}\napply_steps() {{ {forward}; }}\nrevert_steps() {{ {back}; }}\napply_change")
    assert (found.status, found.code) == (answer.status, answer.code)
    assert answer.error in {None, found.error}


def test_a_host_with_another_basis_refuses_the_change() -> None:
    found = outcome_of(f"{STUBS}\nBASIS=other\napply_change")
    assert (found.status, found.code) == ("refused", "stale-plan")


def test_a_held_lock_differs_from_a_missing_directory(tmp_path: Path) -> None:
    state = f"STATE={quote(str(tmp_path))}"
    (tmp_path / "lock").write_text("ann@desk since noon\n")
    assert outcome_of(f"{state}; lock_error refused") == transaction.TransactionOutcome(
        "refused", "locked", "locked by ann@desk since noon"
    )
    (tmp_path / "lock").unlink()
    tmp_path.rmdir()
    found = outcome_of(f"{state}; lock_error failed")
    assert (found.status, found.code) == ("failed", "step-failed")
    assert str(tmp_path) in (found.error or "")


def test_a_lock_without_a_name_is_locked(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    found = outcome_of(f"STATE={quote(str(tmp_path))}; lock_error refused")
    assert (found.status, found.code) == ("refused", "locked")


def test_a_transaction_names_the_re_assert_that_holds_the_lock(tmp_path: Path) -> None:
    text = steps.reassert_script(HostState(), TEMPLATES).replace("/etc/dockmesh", str(tmp_path))
    run_shell(text, path="/usr/bin:/bin")
    assert (tmp_path / "lock").read_text() == "dockmesh.service\n"
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = outcome_of(f"STATE={quote(str(tmp_path))} LOCK_S=0 PENDING=/nonexistent; transact")
        (tmp_path / "lock").write_text("ann\n")
        run_shell(text, path="/usr/bin:/bin")
    assert (found.status, found.code) == ("refused", "locked")
    assert "dockmesh.service" in (found.error or "")
    assert (tmp_path / "lock").read_text() == "ann\n", "a re-assert without the lock leaves the name of the holder"


def test_a_transaction_waits_longer_than_a_re_assert_can_take() -> None:
    (longest,) = re.findall(r"^TimeoutStartSec=(\d+)$", TEMPLATES.service, re.MULTILINE)
    (wait,) = re.findall(r"^LOCK_S=(\d+)$", TEMPLATES.transaction, re.MULTILINE)
    assert int(longest) < int(wait) == hosts.LOCK_S


# The directories of a host in a temporary one. `sync` and `mv` only note their arguments, before mv does its work.
HOST = """cd {folder} && mkdir -p state units docker && PENDING=state/pending STATE=state ARMING=state/arming
DISARMED=state/disarmed UNITS=units DAEMON_JSON=docker/daemon.json SAVED_JSON=state/pending/daemon.json
sync() {{ echo "sync $*" >>log; }}; mv() {{ echo "mv $*" >>log; command mv "$@"; }}; systemctl() {{ :; }}
start_revert_timer() {{ echo timer >>log; }}
"""


def log_of(folder: Path, script: str) -> list[str]:
    """What a script with the functions of a transaction synced and renamed, in the directories of HOST."""
    texts = (TEMPLATES.output, TEMPLATES.host_steps, TEMPLATES.transaction, HOST.format(folder=quote(str(folder))))
    run_shell("\n".join((*texts, script)), path="/usr/bin:/bin")
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


def test_a_revert_is_on_disk_before_it_counts(tmp_path: Path) -> None:
    arm = "write_pending() { echo eAo= | save_pending revert.sh; }\nRUN=me CONFIRM_S=1; arm_revert"
    files, unit, renamed, names, timer, armed, last = log_of(tmp_path, arm)
    own = {f"state/arming/{name}" for name in ("run", "containers", "dependents", "revert.sh")}
    assert {*own, "state/arming"} == set(files.split()[1:])
    assert unit == "sync units/dockmesh-revert.service.dockmesh-new"
    assert renamed.startswith("mv -f units/dockmesh-revert.service.dockmesh-new ")
    assert {"/etc", "state", "units", "units/multi-user.target.wants"} <= set(names.split())
    assert (timer, armed, last) == ("timer", "mv -T state/arming state/pending", "sync state")


@pytest.mark.parametrize("confirmed", [True, False])
def test_the_end_of_a_change_is_on_disk_before_its_unit_goes(tmp_path: Path, confirmed: bool) -> None:
    pending = tmp_path / "state" / "pending"
    pending.mkdir(parents=True)
    (pending / "previous.json").write_text("new")
    (tmp_path / "state" / "previous.json").write_text("old")
    log = log_of(tmp_path, f'rm() {{ echo removed >>log; command rm "$@"; }}; disarm_revert {"yes" * confirmed}')
    assert (
        log.index("mv -T state/pending state/disarmed")
        < log.index("sync state")
        < len(log) - 1 - log[::-1].index("removed")
    )
    assert (tmp_path / "state" / "previous.json").read_text() == ("new" if confirmed else "old")
    assert sorted(each.name for each in (tmp_path / "state").iterdir()) == ["previous.json"]


@pytest.mark.parametrize("before", ["{}", None])
def test_an_interrupted_restart_leaves_a_daemon_json_to_restore(tmp_path: Path, before: str | None) -> None:
    """restart_docker_with starts Docker with another file. A power cut may come before it restores the previous one."""
    file = tmp_path / "docker" / "daemon.json"
    (tmp_path / "state" / "pending").mkdir(parents=True)
    file.parent.mkdir()
    if before is not None:
        file.write_text(before)
    log = log_of(tmp_path, "save_daemon_json")
    assert log[-1] == "sync state/pending"
    file.write_text("other")
    log_of(tmp_path, "restore_daemon_json && restore_daemon_json")
    assert (file.read_text() if file.exists() else None) == before


def test_a_file_replaces_what_a_power_cut_left_beside_it(tmp_path: Path) -> None:
    file, left = tmp_path / "file", tmp_path / "file.dockmesh-new"
    for content in ("old", "new"):
        file.write_text(content)
        left.write_text("half")
        log_of(tmp_path, "echo bmV3 | put_file file 640")
        assert (file.read_text(), file.stat().st_mode & 0o777, left.exists()) == ("new", 0o640, False)


@pytest.mark.parametrize("reported", ["10.0.0.0/16 24;", "10.9.0.0/16 24;", "invalid Prefix 24;", " 24;", ""])
@pytest.mark.parametrize("reverting", ["", "yes"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_revert_trusts_the_pools_of_a_docker_that_its_change_did_not_restart(
    tmp_path: Path, reported: str, reverting: str, restarted: bool
) -> None:
    """After a reload, Docker reports no bases."""
    if restarted:
        (tmp_path / "docker-restarted").touch()
    docker = f"docker() {{ printf %s '{reported}'; }}; PENDING={tmp_path}; reverting={reverting}"
    call = f"{docker}; has_pools '10.0.0.0/16 24;' && echo yes"
    unknown = reported in {"invalid Prefix 24;", " 24;"} and reverting and not restarted
    expected = "yes\n" if reported == "10.0.0.0/16 24;" or unknown else ""
    assert run_shell(f"{TEMPLATES.output}\n{TEMPLATES.host_steps}\n{call}; true", path="/usr/bin:/bin") == expected


def test_the_transaction_writes_only_documented_codes() -> None:
    fixed = re.findall(
        r"\b(?:emit_outcome (?:reverted|refused|failed)|revert_change) ([a-z-]+) |\bemit_outcome \"\$1\" ([a-z-]+) ",
        TEMPLATES.transaction,
    )
    told = {code for each in fixed for code in each if code} | set(re.findall(r"echo ([a-z-]+)(?: ;;|;)", CODE_OF))
    assert told <= set(OutcomeCode)
    assert set(OutcomeCode) - told == {"conflict", "not-begun", "read-back", "probes-failed", "move-reverted"}


CODE_OF = TEMPLATES.transaction.partition("error_code() {")[2].partition("\n}\n")[0]


def outcome_of(call: str) -> transaction.TransactionOutcome:
    """The outcome of a call of a transaction function in a shell."""
    texts = (TEMPLATES.output, TEMPLATES.host_steps, TEMPLATES.transaction, call, "run_section end true")
    return transaction.parse_outcome(split(run_shell("\n".join(texts), path="/usr/bin:/bin"))["outcome"])


@given(STATES)
def test_a_dumped_state_is_loaded_unchanged_or_refused(state: HostState) -> None:
    text = codec.dump_state(state)
    try:
        assert codec.load_state(text) == state
    except HostError as error:
        assert str(error).isprintable()  # noqa: PT017 (any other exception fails the test)
    assert json.loads(text)["format"] == "dockmesh/state/1"


@pytest.mark.parametrize("name", [f"{each}_{state}" for each in GENERATIONS for state in ("fresh", "joined")])
def test_the_state_of_a_real_host_is_loaded_unchanged(name: str) -> None:
    state = facts(name).actual
    assert codec.load_state(codec.dump_state(state)) == state


def test_a_state_with_the_record_of_a_revert_is_loaded_unchanged() -> None:
    state = HostState((File(REVERTED_RECORD, "1 reboot me\n", "644"),))
    assert codec.load_state(codec.dump_state(state)) == state


def test_split_reads_the_sections_of_the_script() -> None:
    said = "printf 'a\\n@end 0\\n\\nb'; exit 3"
    text = f'{TEMPLATES.output}\nsay() {{ sh -c "{said}"; }}\nrun_section said say\nrun_section end true\n'
    output = run_shell(text, path="/usr/bin:/bin")
    assert split(output)["said"] == Section(3, "a\n@end 0\nb"), "empty lines are removed"
