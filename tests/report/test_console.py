"""The console reports without a terminal: plain lines, also for hostile host texts."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from io import StringIO
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

import pytest
from builders import FLEET, HOST2, HOST3, WIDE, facts, fleet, host, plan_of
from hypothesis import given
from hypothesis import strategies as st
from printed import CapturedConsole, Line, figures, kinds, line
from results import fleet as sample_fleet
from results import mesh_result, probed
from rich.text import Text

from dockmesh.core.planning.conflicts.network import conflicts
from dockmesh.core.planning.findings import Conflict, ConflictCode, Note, NoteCode, StartWarning, WarningCode
from dockmesh.core.planning.plan import HostPlan, Outcome, Plan, plan_host
from dockmesh.core.planning.stopped_containers import StoppedContainers
from dockmesh.core.probes.model import EXPECTED_TTL, Probe, ProbeKind
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult, host_result
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import AcceptRules, DockerNetworking, File, NftTable, PeerSet, Route
from dockmesh.errors import HostFailure
from dockmesh.report.console.outcomes import print_outcomes
from dockmesh.report.console.plan import print_plan
from dockmesh.report.console.probe_failures import failure_lines
from dockmesh.report.console.probes import print_report
from dockmesh.report.console.resource_diff import diff_lines
from dockmesh.report.console.terminal import console, print_line

WIDTHS = (80, 160)
EVIL = (
    "[red]x[/red] [link=http://e]y[/link] :smile: \x1b[31m \x1b]0;owned\x07"
    " \x9b2J \r \b \x7f \u202e \u200f\u061c \u2028 \ud800 [/]"
)
TEXT = st.text() | st.text(st.sampled_from("[]/red\x1b\x9b\x07\t\u202e\u200e\u2029\ud800"))
KINDS = ("host-bridge", "host-container", "container-container")
TTLS = tuple(EXPECTED_TTL.items())
SILENT = Failure(FailureCode.NO_REPLY, "no reply")


def by_kind(lines: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The rows of the first table for a large fleet: the kind of probes, and the cells."""
    found = (re.fullmatch(r"(\w+ ?\S ?\w+) {2,}(\d.*)", each) for each in lines)
    return [(kinds(row[1])[0], row[2].split()) for row in found if row and kinds(row[1])]


def host_rows(lines: Iterable[str]) -> list[list[str]]:
    """The cells of a matrix's rows, row label first."""
    return [[cell.strip() for cell in each.strip("│").split("│")] for each in lines if each.startswith("│")]


def by_host(lines: Iterable[str]) -> list[list[str]]:
    """The cells of the second table for a large fleet, which has a row per listed host."""
    return [each.split() for each in lines if re.match(r"host\d+ +\d+/\d+ ", each)]


def failing(paper: CapturedConsole) -> list[str]:
    return [each for each in paper.lines if each.startswith("✗ ")]


def legend(paper: CapturedConsole) -> set[str]:
    """The marks in the line below a matrix."""
    lines = paper.lines
    return marks(lines[max(at for at, each in enumerate(lines) if each.startswith("└")) + 1])


def marks(text: str) -> set[str]:
    return set(re.findall(r"[✓✗?](?:mtu|src)?", text))


def full_report(count: int, broken: tuple[str, ...] = (), errors: dict[str, str] | None = None) -> MeshResult:
    """A mesh of `count` hosts. All probes from or to the broken hosts fail."""
    hosts = tuple(f"host{number}" for number in range(1, count + 1))
    answers = (
        Probe(a, b, kind).result(3).failed(SILENT)
        if {a, b} & set(broken)
        else Probe(a, b, kind).result(3, 3, ttl, 0.25)
        for a in hosts
        for b in hosts
        if a != b
        for kind, ttl in EXPECTED_TTL.items()
    )
    return mesh_result(dict.fromkeys((*hosts, *(errors or {}))), answers, errors)


@pytest.mark.parametrize("width", [*WIDTHS, None])
def test_plan_lists_changes_and_reasons_per_host(width: int | None) -> None:
    paper = CapturedConsole(width)
    plan = plan_of(facts("trixie_fresh"), HOST2)
    print_plan(paper.out, Plan((plan, HostPlan("host9"))), FLEET, verbose=True)
    assert paper.lines[0] == "host2"
    own = paper.lines[: paper.lines.index("host9")]
    head = {each.split("  ")[1]: each for each in own if re.match(r"  \S", each)}
    assert len(head) == len(plan.changes)
    reasons = [change.reason for change in plan.changes]
    assert all(why and f"({why})" in each for why, each in zip(reasons, head.values(), strict=True))
    assert "+ route 10.128.0.0/20 via 192.168.18.128 dev eth0" in head
    assert '      +   "bip": "10.128.16.1/24",' in paper.lines
    (docker,) = (each for each in head if each.startswith("! service docker "))
    assert re.findall(r"[\d.]+\.[\d./]+", docker) == ["10.128.16.1/24", "10.128.17.0", "10.128.31.255"]
    counts = Counter(change.action for change in plan.changes)
    assert set(counts) == {"add", "restart"}
    assert figures(paper.lines[-1]) == ["2", str(counts["add"]), "1"]


def test_empty_plan_is_green_and_conflicts_are_red() -> None:
    paper = CapturedConsole()
    print_plan(paper.out, Plan((HostPlan("a"), HostPlan("b"))), FLEET)
    assert len(paper.lines) == 1
    assert paper.verdict == ({"green"}, ["2"])
    refused = CapturedConsole()
    print_plan(
        refused.out,
        Plan(
            (
                HostPlan(
                    "b",
                    conflicts=(Conflict(ConflictCode.DOCKER_SWARM, "x", "y", "z"),),
                    notes=(Note(NoteCode.MTU_KEPT, "n", "m", "r"), Note(NoteCode.MTU_KEPT, "n", "m", "")),
                ),
                HostPlan("a", error="is down"),
            )
        ),
        FLEET,
    )
    assert refused.lines[:-1] == [
        "b",
        "  ✗ x: y. Fix: z",
        "  · n: m. Fix: r",
        "  · n: m",
        "a",
        "  ✗ is down",
    ]
    assert refused.verdict == ({"red"}, ["1", "1", "1"])


@pytest.mark.parametrize("width", WIDTHS)
def test_blocked_and_failed_hosts_come_last(width: int) -> None:
    add = Change(None, Route(IPv4Network("10.0.0.0/24"), FLEET.hosts[0].underlay, "eth0"), "r")
    plans = CapturedConsole(width)
    print_plan(
        plans.out,
        Plan(
            (
                HostPlan("down", error="e"),
                HostPlan("odd", (add,), (Conflict(ConflictCode.DOCKER_SWARM, "k", "m", "r"),)),
                HostPlan("well", (add,)),
            )
        ),
        FLEET,
    )
    assert [line for line in plans.lines if line in {"down", "odd", "well"}] == ["well", "down", "odd"]
    ends = CapturedConsole(width)
    statuses = ("failed", "confirmed", "refused", "unchanged", "reverted", "unreachable")
    print_outcomes(ends.out, [Outcome(f"h{at}", status, "x", "why") for at, status in enumerate(statuses)], FLEET)  # type: ignore[arg-type]
    assert [re.findall(r"\w+", each) for each in (*ends.lines[:2], *ends.lines[3:])] == [
        *(["h1", "confirmed", "why"], ["h3", "unchanged", "why"]),
        *(["h0", "failed", "why"], ["h2", "refused", "why"], ["h4", "reverted", "why"], ["h5", "unreachable", "why"]),
    ]
    assert figures(ends.lines[2]) == ["6", *"111111"]
    assert all(ends.lines[2].count(status) == 1 for status in statuses)
    assert ends.colours[-1] == {"red"}


def test_unreachable_hosts_with_the_same_error_have_one_line() -> None:
    silent = {f"host{at}": f"192.0.2.{at}:22: no answer" for at in range(2, 21)}
    lines = [each.plain for each in failure_lines(mesh_result(["host1", *silent], [], silent), ())]
    (line,) = [each for each in lines if ":22: no answer" in each]
    assert "192.0.2.2:22: no answer" in line
    assert "192.0.2.3" not in line


def restarts(*stopped: StoppedContainers) -> list[str]:
    """The lines of a plan that restarts Docker on the first hosts of the fleet, with these containers."""
    change = Change(DockerNetworking(IPv4Interface("172.17.0.1/16")), DockerNetworking(IPv4Interface("10.0.0.1/24")))
    hosts = (HostPlan(each.name, (change,), stopped=of) for each, of in zip(FLEET.hosts, stopped, strict=False))
    paper = CapturedConsole()
    print_plan(paper.out, Plan(tuple(hosts)), FLEET)
    return paper.lines


def test_a_change_of_the_limits_of_peers_has_a_line() -> None:
    peers = (PeerSet("peers", (HOST2.prefix,)),)
    open_ = NftTable(peers, ("chain forward {", "}"))
    limited = NftTable(peers, ("chain allowed {", "tcp dport 443 meta mark set meta mark | 0x00001000 accept", "}"))
    found = {}
    for before, after in ((limited, open_), (None, limited), (None, open_), (open_, None)):
        paper = CapturedConsole()
        print_plan(paper.out, Plan((HostPlan("host1", (Change(before, after),)),)), FLEET)
        found[before, after] = [each.strip() for each in paper.lines if "packets" in each]
    assert found == {
        (limited, open_): ["~ packets from peers: tcp/443 → everything"],
        (None, limited): ["+ packets from peers: tcp/443 only"],
        (None, open_): [],
        (open_, None): [],
    }


def test_hosts_that_stop_different_containers_do_not_fold() -> None:
    shown = tuple(f"web{number}" for number in range(1, 9))
    lines = restarts(StoppedContainers((*shown, "cache")), StoppedContainers((*shown, "vault")))
    assert [each for each in lines if each in {"host1", "host2"}] == ["host1", "host2"]
    assert any("2 hosts" in each for each in restarts(*[StoppedContainers((*shown, "cache"))] * 2))


def test_every_container_that_is_removed_for_good_is_named() -> None:
    removed = tuple(f"job{number}" for number in range(1, 21))
    assert all(name in " ".join(restarts(StoppedContainers((), removed))) for name in removed)
    assert all(name in " ".join(restarts(StoppedContainers((), (), removed))) for name in removed)


def test_hosts_with_the_same_warning_have_one_line() -> None:
    def warned(host: str, identity: str) -> Outcome:
        message = f"container web did not start again: No such container: {identity * 64}"
        warning = StartWarning(WarningCode.CONTAINER_NOT_STARTED, "web", message, "docker start web")
        return Outcome(host, "confirmed", warnings=(warning,))

    paper = CapturedConsole()
    print_outcomes(paper.out, [warned("host1", "a"), warned("host2", "b"), Outcome("host3", "confirmed")], FLEET)
    (line,) = [each for each in paper.lines if "web" in each]
    assert all(text in line for text in ("host1", "host2", "warning", "docker start web"))
    alone = CapturedConsole()
    print_outcomes(alone.out, [warned("host1", "a")], FLEET, brief=True)
    assert any("a" * 64 in each for each in alone.lines)


def test_long_error_is_one_line() -> None:
    paper = CapturedConsole()
    print_outcomes(paper.out, [Outcome("a", "failed", "x", "word " * 500), Outcome("b", "confirmed")], FLEET)
    assert len(paper.lines) == 3


@pytest.mark.parametrize(
    ("count", "width", "cell"),
    [
        (3, 80, "✓64 ✓63 ✓62  0.2 ms"),
        (4, 80, "✓64 ✓63 ✓62"),
        (7, 80, "✓✓✓"),
        (6, 160, "✓64 ✓63 ✓62  0.2 ms"),
        (9, 160, "✓64 ✓63 ✓62"),
        (12, 160, "✓✓✓"),
        (12, None, "✓64 ✓63 ✓62  0.2 ms"),
    ],
)
def test_matrix_of_a_small_fleet_uses_the_available_width(count: int, width: int | None, cell: str) -> None:
    paper = CapturedConsole(width)
    print_report(paper.out, full_report(count))
    rows = [each for each in paper.lines if each.startswith("│ host")]
    assert len(rows) == count
    assert f"│ host{count} " in rows[-1]
    assert all(row.count(f" {cell} ") == count - 1 for row in rows)
    assert all(row.count(" - ") == 1 for row in rows)
    assert width is None or max(map(len, paper.lines)) <= max(width, 82)
    assert marks("".join(rows)) <= legend(paper)
    assert paper.verdict == ({"green"}, [str(count * (count - 1) * 3)])


@pytest.mark.parametrize(("count", "cell"), [(4, "✓64 ✓63 ✓62"), (5, "✓64 ✓63 ✓62"), (9, "✓✓✓"), (12, "✓✓✓")])
def test_a_matrix_of_long_names_has_numbered_columns(count: int, cell: str) -> None:
    paper = CapturedConsole(80)
    names = [f"192.168.122.{number}" for number in range(101, 101 + count)]
    answers = (Probe(a, b, kind).result(3, 3, ttl, 0.2) for a in names for b in names if a != b for kind, ttl in TTLS)
    print_report(paper.out, mesh_result(names, answers))
    (head,) = (re.findall(r"\d+", each) for each in paper.lines if each.startswith("┃"))
    assert head == [str(number) for number in range(1, count + 1)]
    rows = host_rows(paper.lines)
    assert [row[0].split() for row in rows] == [[number, name] for number, name in zip(head, names, strict=True)]
    assert all(row.count(cell) == count - 1 for row in rows)
    assert all(row[1 + at] == "-" for at, row in enumerate(rows))
    assert max(map(len, paper.lines)) <= 80


def test_numbered_columns_without_a_row_are_listed() -> None:
    paper = CapturedConsole(80)
    names = [f"192.168.122.{number}" for number in range(101, 105)]
    answers = (Probe(names[1], b, kind).result(1, 1, ttl, 0.2) for b in names[:1] + names[2:] for kind, ttl in TTLS)
    print_report(paper.out, mesh_result(names, answers))
    assert [row[0] for row in host_rows(paper.lines)] == ["2 192.168.122.102"]
    assert re.findall(r"(\d) (192\S+\d)", paper.lines[-2]) == [("1", names[0]), ("3", names[2]), ("4", names[3])]


@pytest.mark.parametrize(("count", "width"), [(13, 160), (13, 80), (100, 80), (100, None)])
def test_large_fleet_is_summarized_by_kind_and_by_failing_host(count: int, width: int | None) -> None:
    paper = CapturedConsole(width)
    print_report(paper.out, full_report(count, broken=("host7",)))
    each, pairs = (count - 1) * 3, count * (count - 1)
    found = by_kind(paper.lines)
    assert [kind for kind, _cells in found] == list(KINDS)
    assert all(cells[:2] == [str(pairs), str(2 * (count - 1))] for _kind, cells in found)
    assert all(cells[-2:] == ["0.25/0.25/0.25", "-"] for _kind, cells in found)
    rows = by_host(paper.lines)
    assert rows == [["host7", f"0/{each}", f"0/{each}", "-"]], "other hosts fail only with host7"
    lines = failing(paper)
    assert [(kinds(one), re.findall(r"host\d+", one)) for one in lines] == [(KINDS, ["host7"])] * 2, (
        "other hosts are not named"
    )
    assert [line(one).targets == ("host7",) for one in lines] == [True, False]
    assert [one.count("no reply") for one in lines] == [1, 1]
    assert paper.verdict == ({"red"}, [str(2 * each), str(pairs * 3)])
    assert max(len(one) for one in paper.lines if not one.startswith("✗")) <= (width or 90)


def test_large_healthy_fleet_names_hosts_only_with_verbose() -> None:
    well, verbose = CapturedConsole(80), CapturedConsole(80)
    print_report(well.out, full_report(40))
    assert not re.search(r"host\d", well.text)
    assert len(well.lines) < 10
    print_report(verbose.out, full_report(40), verbose=True)
    rows = by_host(verbose.lines)
    assert [row[0] for row in rows] == [f"host{number}" for number in range(1, 41)]
    assert all(row[1:3] == ["117/117", "117/117"] for row in rows)


def test_number_of_listed_hosts_is_limited() -> None:
    paper = CapturedConsole(80)
    report = full_report(60)
    broken = {f"host{number}" for number in range(1, 31)}
    lost = (
        replace(answer, received=0).failed(SILENT) if {answer.source, answer.target} & broken else answer
        for answer in report.probes
    )
    print_report(paper.out, replace(report, probes=tuple(lost)))
    assert len(by_host(paper.lines)) == 12
    (rest,) = (each for each in paper.lines if each.startswith("…"))
    assert figures(rest) == ["18"]
    assert re.search(r"(?<![\w-])-v\b", rest)


def test_loss_and_unmade_probes_have_columns() -> None:
    paper = CapturedConsole(80)
    report = full_report(20)
    first, second, *others = report.probes
    slow = replace(first, received=2, rtt_min_ms=0.1, rtt_max_ms=123.4)
    unmade = replace(second, sent=0, received=0).failed(Failure(FailureCode.NOT_ASKED, "host1 could not be asked"))
    print_report(paper.out, replace(report, probes=(slow, unmade, *others)))
    rows = dict(by_kind(paper.lines))
    assert rows["host-bridge"] == ["380", "-", "-", "-", "-", "-", "0.10/0.25/123", "<1", "%"]
    assert rows["host-container"] == ["380", "-", "-", "-", "-", "1", "0.25/0.25/0.25", "-"]


def test_each_family_of_a_large_fleet_has_a_table() -> None:
    paper = CapturedConsole(80)
    report = full_report(13)
    six = (replace(each, family=6) for each in report.probes)
    print_report(paper.out, replace(report, probes=(*report.probes, *six)))
    titles = [at for at, each in enumerate(paper.lines) if "IPv" in each]
    assert [re.findall(r"IPv\d", paper.lines[at]) for at in titles] == [["IPv4"], ["IPv6"]]
    assert titles[0] == 0
    for table in (paper.lines[: titles[1]], paper.lines[titles[1] :]):
        assert [(kind, cells[0]) for kind, cells in by_kind(table)] == [(kind, "156") for kind in KINDS]


def test_mark_of_a_probe_shows_its_kind_of_failure() -> None:
    paper = CapturedConsole(160)
    odd = (
        probe_result("a", "b", "host-bridge", 3, 3, 63).failed(Failure(FailureCode.TTL, "ttl")),
        probe_result("a", "b", "container-container", 3, 3, 62, mtu_ok=False).failed(Failure(FailureCode.MTU, "mtu")),
        probe_result("b", "a", "host-bridge", 3).failed(SILENT),
        probe_result("b", "a", "container-container", 3, 3, 62, 1.0).failed(
            Failure(FailureCode.MASQUERADED, "masked", "b")
        ),
    )
    print_report(paper.out, mesh_result(("a", "b"), odd))
    rows = [each for each in paper.lines if each.startswith("│ ")]
    assert [row.split("│")[2:4] for row in rows] == [
        ["       -        ", " ✗63 ✗mtu "],
        [" ✗ ✗src  1.0 ms ", "    -     "],
    ]
    assert legend(paper) == {"✓", "✗", "✗mtu", "✗src", "?"}
    assert marks("".join(rows)) <= legend(paper)


def test_many_hosts_are_abbreviated_by_glob_or_tag() -> None:
    racks = [f"rack{rack}-{number}" for rack in (1, 2, 3) for number in range(1, 5)]
    tags = {name: ["odd"] for name in racks if name[-1] in "13"}
    answers = [probe_result(a, b, "host-bridge", 3, 3, 64) for a in racks for b in racks if a != b]
    lost = [
        replace(each, received=0, ttl=None).failed(SILENT)
        if each.source.startswith("rack2") and each.target == "rack1-2"
        else masqueraded(each)
        if each.source in tags
        else each
        for each in answers
    ]
    paper = CapturedConsole()
    print_report(paper.out, mesh_result(racks, lost, tags=tags))
    masked, lost = failing(paper)
    assert masked.startswith("✗ tag:odd masquerades: dockmesh apply --limit tag:odd ")
    assert figures(masked) == ["64"]
    assert line(lost) == Line("✗", ("rack2-*",), ("rack1-2",), KINDS[:1], ())
    assert lost.endswith("no reply")


def test_glob_in_a_command_is_quoted_for_the_shell() -> None:
    hosts = ("web1", "web2", "web3", "db")
    answers = [masqueraded(probe_result(host, "db", "host-bridge", 3)) for host in hosts[:3]]
    paper = CapturedConsole()
    print_report(paper.out, mesh_result(hosts, answers))
    (masked,) = failing(paper)
    assert masked.startswith("✗ web* masquerades: dockmesh apply --limit 'web*' ")
    assert figures(masked) == ["3"]


def test_the_verdict_names_no_container_that_was_not_probed() -> None:
    def verdict(*probes: Probe) -> str:
        paper = CapturedConsole(160)
        print_report(paper.out, mesh_result(("a", "b"), [each.result(3, 3, each.expected_ttl, 0.2) for each in probes]))
        return paper.lines[-1]

    bridges = (Probe("a", "b", "host-bridge"), Probe("b", "a", "host-bridge"))
    own = (Probe("a", "a", "host-container"), Probe("b", "b", "host-container"))
    no_docker, some, everything = verdict(*bridges), verdict(*bridges, own[0]), verdict(*bridges, *own)
    assert "on each" not in no_docker
    assert some.endswith("on each except b.")
    assert everything.endswith("on each.")
    alone = CapturedConsole(80)
    print_report(alone.out, mesh_result(("a",), [own[0].result(3, 3, 64, 0.2)]))
    assert alone.lines[-1].endswith("a container on a.")
    assert "every host" not in alone.lines[-1]


@pytest.mark.parametrize("count", [3, 40])
def test_the_verdict_counts_lost_packets(count: int) -> None:
    paper = CapturedConsole(80)
    report = full_report(count)
    first, *others = report.probes
    print_report(paper.out, replace(report, probes=(replace(first, received=2), *others)))
    total = len(report.probes)
    assert paper.verdict == ({"green", "yellow"}, ["1", str(total), str(3 * total)])


def test_equal_errors_of_many_hosts_are_one_line() -> None:
    among = sample_fleet(40)
    failure = {each.name: HostFailure("x", f"{each.underlay}: no answer") for each in among.hosts[2:]}
    hosts = tuple(host_result(each, failure.get(each.name)) for each in among.hosts)
    paper = CapturedConsole()
    print_report(paper.out, MeshResult(hosts, ()))
    (line_,) = failing(paper)
    assert "38 hosts" in line_
    assert "all except host1 and host2" in line_
    assert line_.endswith(f"{among.hosts[2].underlay}: no answer (shown for host3)")
    one = CapturedConsole()
    print_report(one.out, MeshResult(hosts, ()), reported=[each.name for each in among.hosts[3:]])
    assert failing(one) == [f"✗ host3: {among.hosts[2].underlay}: no answer"]


def test_equal_outcomes_name_no_single_address() -> None:
    among = sample_fleet(40)
    outcomes = [Outcome(each.name, "failed", "x", f"{each.underlay} does not answer") for each in among.hosts]
    paper = CapturedConsole()
    print_outcomes(paper.out, outcomes, among)
    _counts, failed = paper.lines
    assert "(40 hosts)" in failed
    assert not re.search(r"192\.168", failed)


def test_hosts_are_printed_in_the_order_of_the_inventory() -> None:
    among = sample_fleet(12)
    by_text = sorted(among.hosts, key=lambda each: each.name)
    outcomes = CapturedConsole()
    failed = [Outcome(each.name, "failed", "x", f"error {at}") for at, each in enumerate(by_text)]
    print_outcomes(outcomes.out, failed, among)
    assert re.findall(r"^host\d+", outcomes.text, re.MULTILINE) == [each.name for each in among.hosts]
    plans = CapturedConsole()
    print_plan(
        plans.out, Plan(tuple(HostPlan(each.name, error=f"error {at}") for at, each in enumerate(by_text))), among
    )
    assert re.findall(r"^host\d+", plans.text, re.MULTILINE) == [each.name for each in among.hosts]


def test_hosts_with_equally_many_failures_keep_their_order() -> None:
    report = full_report(20)
    cut = {("host1", "host10"), ("host2", "host9"), ("host3", "host8")}
    lost = (
        replace(each, received=0).failed(SILENT) if (each.source, each.target) in cut else each
        for each in report.probes
    )
    paper = CapturedConsole(80)
    print_report(paper.out, replace(report, probes=tuple(lost)))
    assert [row[0] for row in by_host(paper.lines)] == [f"host{number}" for number in (1, 2, 3, 8, 9, 10)]


def test_hosts_that_could_not_be_read_have_an_error_line_only() -> None:
    among = sample_fleet(20)
    paper = CapturedConsole(80)
    print_report(paper.out, probed(among, silent=dict.fromkeys(("host3", "host4", "host5"), "is down")))
    assert by_host(paper.lines) == []
    assert sum("is down" in each for each in paper.lines) == 1


def test_partial_success_shows_its_coverage() -> None:
    paper = CapturedConsole()
    report = full_report(4)
    print_report(paper.out, replace(report, probes=report.probes[:6], partial=True))
    assert paper.verdict == ({"green"}, ["2", "6"])


def test_similar_failures_share_a_line_with_the_reason() -> None:
    paper = CapturedConsole()
    print_report(paper.out, full_report(4, broken=("host1",), errors={"host9": "is down"}))
    *lines, down = failing(paper)
    others = ("host2", "host3", "host4")
    assert [line(each) for each in lines] == [
        Line("✗", ("host1",), others, KINDS, ()),
        Line("✗", others, ("host1",), KINDS, ()),
    ]
    assert all(each.endswith("no reply") for each in lines)
    assert re.fullmatch(r"✗ host9\b.* is down", down)


def test_number_of_failure_lines_is_limited() -> None:
    paper = CapturedConsole()
    report = full_report(50, broken=tuple(f"host{number}" for number in range(1, 50)))
    odd = (replace(answer, reason=f"odd {at}") for at, answer in enumerate(report.probes))
    print_report(paper.out, mesh_result(report.names, odd, {"host1": "is down"}))
    lines = failing(paper)
    assert re.fullmatch(r"✗ host1\b.* is down", lines[-1])
    (rest,) = (each for each in paper.lines if each.startswith("  …"))
    assert figures(rest) == [str(len(report.probes) - 40)]
    assert "--json" in rest
    assert len(lines) == 41


@pytest.mark.parametrize("width", WIDTHS)
def test_host_texts_cannot_inject_markup_or_control_codes(width: int) -> None:
    paper = CapturedConsole(width)
    change = Change(File("/x", EVIL), File("/x", "plain"), EVIL)
    chain = Change(AcceptRules("raw", "PREROUTING", (EVIL,)), NftTable(chains=(EVIL,)))
    conflicts = (Conflict(ConflictCode.DOCKER_SWARM, EVIL, EVIL, EVIL),)
    notes = (Note(NoteCode.MTU_KEPT, EVIL, EVIL, EVIL),)
    print_plan(
        paper.out,
        Plan((HostPlan("a", (change, chain), conflicts, notes, error=EVIL),)),
        FLEET,
        verbose=True,
    )
    print_outcomes(paper.out, [Outcome("a", "failed", "x", EVIL)], FLEET)
    silent = replace(probe_result("a", "a", "host-bridge", 3), reason=EVIL)
    print_report(paper.out, mesh_result(("a",), (silent,), {"a": EVIL}))
    flat = " ".join(paper.text.split())
    assert flat.count("[red]x[/red] [link=http://e]y[/link] :smile:") == 14


def test_plan_of_a_hostile_host_is_plain_text() -> None:
    found = facts("hostile")
    paper = CapturedConsole()
    print_plan(
        paper.out,
        Plan((plan_host(found, found.actual, WIDE, conflicts(FLEET, HOST2, found, WIDE)), plan_of(found, HOST2))),
        FLEET,
    )
    assert "[red]evil" in paper.text
    assert "[red]web[/red]" in paper.text


@given(TEXT)
def test_any_error_is_plain_text(text: str) -> None:
    paper = CapturedConsole()
    print_plan(paper.out, Plan((HostPlan("a", error=text),)), FLEET)
    print_outcomes(paper.out, [Outcome("a", "failed", "x", text)], FLEET)
    assert "a" in paper.text


def test_host_without_docker_has_a_cell_for_its_bridge() -> None:
    among = fleet(host("kvm", "192.168.0.9", "10.9.0.0/24", docker=False), HOST3)
    probe = Probe("host3", "kvm", "host-bridge")
    paper = CapturedConsole(80)
    print_report(paper.out, mesh_result([each.name for each in among.hosts], [probe.result(3, 3, 64, 1.5)]))
    assert any(each.startswith("│ host3") and "✓64  1.5 ms" in each for each in paper.lines)


def probe_result(source: str, target: str, kind: ProbeKind, *counts: Any, **result: Any) -> ProbeResult:
    return Probe(source, target, kind).result(*counts, **result)


def masqueraded(one: ProbeResult) -> ProbeResult:
    reason = f"{one.source} masquerades: dockmesh apply --limit {one.source}"
    return one.failed(Failure(FailureCode.MASQUERADED, reason, one.source))


def test_causes_appear_once_and_unmade_probes_separately() -> None:
    paper = CapturedConsole()
    why = "host2 has not joined"
    apart = Failure(FailureCode.NOT_JOINED, why, "host2")
    stopped = Failure(FailureCode.DOCKER_STOPPED, "Docker is not running on host3")
    not_asked = Failure(FailureCode.NOT_ASKED, "host4 could not be asked for it")
    answers = (
        probe_result("host1", "host2", "host-bridge", 1).failed(apart),
        probe_result("host1", "host2", "host-container", 1, 1, 64, 9.5).failed(apart),
        probe_result("host1", "host3", "host-container").failed(stopped),
        probe_result("host1", "host4", "host-container").failed(not_asked),
    )
    hosts = ("host1", "host2", "host3", "host4")
    print_report(paper.out, mesh_result(hosts, answers, {"host4": "is down"}))
    failed, unmade, down = paper.lines[-4:-1]
    assert failed.startswith(f"✗ {why} ")
    assert figures(failed) == ["2"]
    assert unmade.startswith("✗ Docker is not running on host3 ")
    assert figures(unmade) == ["1"]
    assert re.fullmatch(r"✗ host4\b.* is down", down)
    assert paper.text.count(why) == paper.text.count("is down") == 1
    assert paper.verdict == ({"red"}, ["2", "2", "4"])
    (row,) = [each for each in paper.lines if each.startswith("│ host1")]
    assert row.split("│")[2:6] == ["   -   ", " ✗ ✗64 ", "   ?   ", "   ?   "]
    assert "9.5" not in paper.text, "no round trip for a reply from another host"


def test_host_errors_printed_elsewhere_are_not_repeated() -> None:
    paper = CapturedConsole()
    print_report(paper.out, full_report(2, errors={"host1": "is down"}), reported=["host1"])
    assert "is down" not in paper.text
    assert paper.verdict == ({"red"}, ["1"])


def test_verdict_names_the_sources_unless_all_hosts_probed() -> None:
    paper = CapturedConsole()
    report = full_report(3)
    print_report(paper.out, replace(report, probes=report.probes[:6]))
    assert paper.verdict == ({"green"}, ["6"])
    assert re.findall(r"host\d", paper.lines[-1]) == ["host1"]
    complete = CapturedConsole()
    print_report(complete.out, report)
    assert complete.verdict == ({"green"}, ["18"])
    assert "host1" not in complete.lines[-1]
    alone = CapturedConsole()
    print_report(alone.out, mesh_result(("host1",), ()))
    assert alone.verdict == ({"green"}, [])


@pytest.mark.parametrize(("count", "width"), [(2, 80), (4, 80), (7, 80)])
def test_matrix_has_a_legend_of_its_marks(count: int, width: int) -> None:
    paper = CapturedConsole(width)
    print_report(paper.out, full_report(count))
    assert legend(paper) == {"✓", "✗", "?"}


def rules(*rules: str) -> AcceptRules:
    return AcceptRules("raw", "PREROUTING", rules)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (rules("-s 1", "-s 2"), rules("-s 1", "-s 3"), ["- -s 2", r"\+ -s 3"]),
        (rules("1", "2"), rules("2", "1"), [r"  [a-z ]+"]),
        (None, rules("-s 1"), [r"\+ -s 1"]),
        (rules("-s 1"), None, ["- -s 1"]),
    ],
)
def test_rule_diff_shows_only_added_and_removed_rules(
    before: AcceptRules | None, after: AcceptRules | None, expected: list[str]
) -> None:
    shown = list(diff_lines(Change(before, after)))
    assert len(shown) == len(expected)
    assert all(re.fullmatch(form, each) for form, each in zip(expected, shown, strict=True)), shown


def test_table_diff_shows_only_added_and_removed_peers_and_rules() -> None:
    def table(rule: str, *octets: int) -> NftTable:
        chains = ("chain forward {", rule, "}", "chain allowed {", "a", "}")
        return NftTable((PeerSet("peers", tuple(IPv4Network(f"10.0.{at}.0/24") for at in octets)),), chains)

    assert list(diff_lines(Change(table("a", 2, 4), table("a", 3, 4)))) == [
        "- peers 10.0.2.0/24",
        "+ peers 10.0.3.0/24",
    ]
    assert list(diff_lines(Change(table("a", 2), table("b", 2)))) == ["- forward: a", "+ forward: b"]


def test_verbose_plan_lists_unchanged_hosts() -> None:
    paper = CapturedConsole()
    print_plan(paper.out, Plan((HostPlan("a"), HostPlan("b"))), FLEET, verbose=True)
    first, of_first, second, of_second, _summary = paper.lines
    assert (first, second) == ("a", "b")
    assert of_first == of_second
    assert re.fullmatch(r"  \w.*", of_first)


def test_summary_counts_unreachable_hosts_separately() -> None:
    paper = CapturedConsole()
    print_plan(paper.out, Plan((HostPlan("a"), HostPlan("b", error="is down", unreachable=True))), FLEET)
    assert [figures(each) for each in paper.lines[-2:]] == [["2", "1"], ["1"]]
    assert paper.colours[-1] == {"red"}


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_long_line_wraps_only_on_a_terminal() -> None:
    stream = Terminal()
    out = console(stream, color=False)
    out.width = 40
    print_line(out, Text("a cause and its remedy, which take more room than one line has"), 2)
    assert stream.getvalue().splitlines() == [
        "  a cause and its remedy, which take",
        "    more room than one line has",
    ]
    paper = CapturedConsole()
    print_line(paper.out, Text("word " * 100), 2)
    assert len(paper.lines) == 1


@given(TEXT, st.integers(0, 4))
def test_fast_output_equals_the_output_of_rich(text: str, indent: int) -> None:
    fast, rich = CapturedConsole(), CapturedConsole()
    print_line(fast.out, Text.assemble("text: ", (text, "bold")), indent)
    rich.out.print(Text(" " * indent).append_text(Text.assemble("text: ", (text, "bold"))))
    assert fast.text == rich.text
