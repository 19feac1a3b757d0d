"""Explanations of a recorded probe with one section of a host's output changed."""

import re
from dataclasses import replace

import pytest
from builders import FLEET, SectionOutput
from explanations import Changes, evidence, explanation, recorded_text, trace_of_request, with_replacement

from dockmesh.core.explain.diagnose import explain
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, explain_query
from dockmesh.core.model import Login
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, HostFailure, UsageError

CHECKS = [
    ("host1", "there", ["login", "docker", "bridge", "container", "forwarding", "uplink", "route", "firewall"]),
    ("host1", "there", ["neighbour"]),
    (
        "host3",
        "there",
        ["login", "uplink", "docker", "bridge", "container", "forwarding", "rp-filter", "marks", "raw", "filter"],
    ),
    ("host1", "there", ["source", "mtu"]),
    ("host3", "back", ["route", "firewall", "neighbour"]),
    ("host1", "back", ["rp-filter", "marks", "raw", "filter", "probe"]),
]


ACCEPTED = (
    "ip filter FORWARD rule jump DOCKER-USER # handle 11 (verdict jump DOCKER-USER)",
    "ip filter DOCKER-USER rule accept # handle 22 (verdict accept)",
    "inet dockmesh-explain-9 leaves policy accept ",
)


def test_without_a_fault_every_step_passes() -> None:
    good = explanation(lost=False, traces=trace_of_request(*ACCEPTED))
    assert [(step.host, step.direction, step.check) for step in good.steps] == [
        (host, way, check) for host, way, checks in CHECKS for check in checks
    ]
    assert all(step.ok for step in good.steps)
    assert (good.reached, good.fault) == (True, None)


HOST1_ROUTES = recorded_text("host1-snapshot", "routes")
OWN = "10.128.32.0/20 via 192.168.18.130 dev eth0 proto 201 metric 4201"
WITHOUT_OWN = HOST1_ROUTES.replace(f"{OWN} \n", "")
TO_GATEWAY = "10.128.32.2 from 10.128.0.2 via 192.168.16.1 dev eth0 \\    cache iif docker0"
REFUSED = (2, "RTNETLINK answers: No route to host")


def host1(**changes: str | tuple[int, str]) -> dict[str, Changes]:
    return {"host1-snapshot": {name.replace("__", "."): value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("changes", "code", "remedy"),
    [
        (
            host1(routes=WITHOUT_OWN, route_out=REFUSED),
            FaultCode.ROUTE_MISSING,
            "dockmesh apply --limit host1",
        ),
        (
            host1(routes=HOST1_ROUTES.replace(OWN, OWN.replace(".130", ".129")), route_out=TO_GATEWAY),
            FaultCode.WRONG_NEXT_HOP,
            "dockmesh apply --limit host1",
        ),
        (
            host1(routes=f"{HOST1_ROUTES}\n10.128.32.0/24 dev x;$(x) scope link linkdown", route_out=TO_GATEWAY),
            FaultCode.FOREIGN_ROUTE_WINS,
            "on host1: ip route del 10.128.32.0/24 dev 'x;$(x)' scope link",
        ),
        (
            host1(ip_rules="90:\tfrom all lookup 7", route_out=TO_GATEWAY),
            FaultCode.ROUTING_RULE,
            "on host1: ip rule del pref 90",
        ),
        (host1(route_out=REFUSED), FaultCode.NO_ROUTE, "on host1: ip route get 10.128.32.2"),
        (host1(docker_state="stopped"), FaultCode.DOCKER_STOPPED, "on host1: systemctl start docker"),
        (host1(docker_state="absent"), FaultCode.NO_DOCKER, "docker: false*host1*"),
        (
            {"host1-snapshot": with_replacement("host1-snapshot", "sysctls", "all 0 1", "all 0 0")},
            FaultCode.IP_FORWARD_OFF,
            "on host1: sysctl -w net.ipv4.ip_forward=1",
        ),
        (
            {"host3-snapshot": with_replacement("host3-snapshot", "sysctls", "eth0 0 1", "eth0 0 0")},
            FaultCode.IP_FORWARD_OFF,
            "on host3: sysctl -w net/ipv4/conf/eth0/forwarding=1",
        ),
        (
            {
                "host1-snapshot": with_replacement(
                    "host1-snapshot", "neighbours", "02:00:c0:a8:12:82", "02:00:00:00:00:07"
                )
            },
            FaultCode.STALE_NEIGHBOUR,
            "on host1: ip neigh del 192.168.18.130 dev eth0",
        ),
        (
            {
                "host3-snapshot": with_replacement(
                    "host3-snapshot", "addresses", "192.168.18.130/20", "192.168.18.99/20"
                )
            },
            FaultCode.UNDERLAY_MISSING,
            "*underlay*host3*",
        ),
        (
            {"host3-snapshot": {"container.routes": "10.128.32.0/24 dev eth0 proto kernel scope link"}},
            FaultCode.CONTAINER_WITHOUT_DEFAULT_ROUTE,
            "on host3: nsenter --target * --net ip route replace default via 10.128.32.1",
        ),
        ({"host3-snapshot": {"docker_state": "stopped"}}, FaultCode.DOCKER_STOPPED, "on host3: systemctl start docker"),
    ],
)
def test_each_fault_has_its_code_and_remedy(changes: dict[str, Changes], code: FaultCode, remedy: str) -> None:
    found = explanation(changes)
    assert found.fault is not None
    assert found.fault.code == code, found.fault
    assert re.fullmatch(re.escape(remedy).replace(r"\*", ".*"), found.fault.remedy), found.fault


def test_only_packets_counted_during_the_probe_count() -> None:
    rule = "-A FORWARD -s 10.128.0.0/20 -o docker0 -j DROP"
    jump = JUMPS["after.iptables_rules"]
    changes = with_replacement("host3-snapshot", "after.iptables_rules", jump, f"[7:588] {rule}\n{jump}")
    found = explanation({"host3-snapshot": changes})
    assert found.fault is not None
    assert found.fault.code == FaultCode.HOST_FIREWALL_DROP
    assert found.fault.remedy == f"on host3: iptables {rule.replace('-A', '-D')}"
    # Packets counted before the probe are not from the probe.
    before = with_replacement("host3-prepared", "before.iptables_rules", "*nat", f"*filter\n[7:588] {rule}\n*nat")
    quiet = explanation({"host3-snapshot": changes, "host3-prepared": before})
    assert quiet.fault is not None
    assert quiet.fault.code == FaultCode.NO_ANSWER


JUMPS = {
    "after.iptables_rules": "[175:181446] -A FORWARD -j DOCKER-USER",
    "after.nft_ruleset": "\t\tcounter packets 175 bytes 181446 jump DOCKER-USER # handle 11",
}
BUSY = {
    "after.iptables_rules": "[900:9] -A FORWARD -p icmp -m length --length 84 -j DROP",
    "after.nft_ruleset": "\t\tip protocol icmp xt match length counter packets 900 bytes 9 drop # handle 99",
}


def busy_firewall() -> dict[str, Changes]:
    """host3 with a rule that dropped many packets during the probe. dockmesh does not evaluate its match."""
    changes: dict[str, SectionOutput] = {}
    for name, jump in JUMPS.items():
        changes |= with_replacement("host3-snapshot", name, jump, f"{BUSY[name]}\n{jump}")
    return {"host3-snapshot": changes}


def test_a_counter_that_other_traffic_may_have_raised_is_only_a_possible_cause() -> None:
    fault = explanation(busy_firewall()).fault
    assert fault is not None
    assert (fault.code, fault.remedy) == (FaultCode.HOST_FIREWALL_DROP, "dockmesh trace host1 host3")
    assert "-A FORWARD -p icmp -m length --length 84 -j DROP" in fault.cause
    # A certain fault later on the path is the cause.
    lost = explanation(busy_firewall() | host1(routes=WITHOUT_OWN, route_out=REFUSED)).fault
    assert lost is not None
    assert lost.code == FaultCode.ROUTE_MISSING


def test_a_trace_tells_the_probe_from_other_traffic() -> None:
    passed = explanation(busy_firewall(), traces=trace_of_request(*ACCEPTED)).fault
    assert passed is not None
    assert passed.code == FaultCode.NO_ANSWER
    dropped = "ip filter FORWARD rule xt match length drop # handle 99 (verdict drop)"
    fault = explanation(busy_firewall(), traces=trace_of_request(dropped)).fault
    assert fault is not None
    assert fault.code == FaultCode.HOST_FIREWALL_DROP
    assert fault.remedy == "on host3: iptables -D FORWARD -p icmp -m length --length 84 -j DROP"


def test_a_traced_drop_of_an_unlisted_rule_is_the_cause() -> None:
    dropped = "ip filter X unknown rule handle 123 (verdict drop)"
    fault = explanation(busy_firewall(), traces=trace_of_request(dropped)).fault
    assert fault is not None
    assert (fault.code, fault.remedy) == (FaultCode.HOST_FIREWALL_DROP, "on host3: nft -a list chain ip filter X")
    assert "rule 123" in fault.cause


def test_the_traces_show_on_which_way_the_network_loses_the_probe() -> None:
    own = trace_of_request()["host3"].replace("10.128.32.2", "127.0.0.1")
    never = {"host3": own}
    there = explanation(traces=never).fault
    assert there is not None
    assert there.code == FaultCode.LOST_BETWEEN
    request = trace_of_request(*ACCEPTED)["host3"]
    reply = request.replace("ip saddr 10.128.0.2 ip daddr 10.128.32.2", "ip saddr 10.128.32.2 ip daddr 10.128.0.2")
    both = {"host3": f"{request}\n{reply.replace('echo-request', 'echo-reply')}", "host1": own}
    back = explanation(traces=both).fault
    assert back is not None
    assert (back.code, back.cause.split()[0]) == (FaultCode.LOST_BETWEEN, "host3")


def test_the_first_fault_is_the_cause_and_others_remain_in_steps() -> None:
    found = explanation({"host3-snapshot": {"docker_state": "stopped"}, **host1(docker_state="stopped")})
    assert found.fault is not None
    assert (found.fault.code, found.fault.remedy) == (FaultCode.DOCKER_STOPPED, "on host1: systemctl start docker")
    stopped = [step.host for step in found.steps if step.fault and step.fault.code == FaultCode.DOCKER_STOPPED]
    assert stopped == ["host1", "host3"]


def test_a_blocking_fault_is_cleared_if_the_probe_succeeds() -> None:
    stale = {
        "host1-snapshot": with_replacement("host1-snapshot", "neighbours", "02:00:c0:a8:12:82", "02:00:00:00:00:07")
    }
    found = explanation(stale, lost=False)
    assert (found.reached, found.fault) == (True, None)
    (step,) = (step for step in found.steps if step.host == "host1" and step.check == "neighbour")
    assert (step.ok, step.fault) == (None, None)
    assert "02:00:00:00:00:07" in step.detail


def test_a_reply_from_a_nearer_machine_does_not_count() -> None:
    nearer = with_replacement("host1-probe", "ping", "ttl=62", "ttl=64")
    assert not explain(evidence({"host1-probe": nearer})).reached


def test_the_peers_ping_distinguishes_no_login_from_link_down() -> None:
    errors = {"host3": "192.168.18.130 does not answer"}
    frozen = explanation(errors=errors)
    assert frozen.fault is not None
    assert frozen.fault.code == FaultCode.NO_LOGIN
    gone = explanation(host1(peer_ping=(1, ""), neighbours="192.168.18.130 dev eth0 FAILED"), errors=errors)
    assert gone.fault is not None
    assert gone.fault.code == FaultCode.LINK_DOWN
    both = explanation(errors=errors | {"host1": "no key"})
    assert both.fault is not None
    assert both.fault.code == FaultCode.NO_LOGIN
    assert re.findall(r"\bhost\d\b", both.fault.cause) == ["host1"]
    assert both.fault.cause.endswith("no key")


REJECTED = "the server rejects the key"
LOGIN_REFUSED = HostFailure(HostErrorCode.LOGIN_REFUSED, f"{REJECTED}. Fix: ssh-copy-id")
NO_REPLY_ON_LAN = host1(peer_ping=(1, ""), neighbours="192.168.18.130 dev eth0 FAILED")


@pytest.mark.parametrize("names", [["host1"], ["host3"], ["host1", "host3"]])
def test_a_refused_login_leaves_reachability_unknown(names: list[str]) -> None:
    found = explain(evidence(errors=dict.fromkeys(names, LOGIN_REFUSED)))
    assert found.reached is None
    assert found.fault is not None
    assert found.fault.code == FaultCode.NO_LOGIN
    assert names[0] in found.fault.cause
    assert found.fault.cause.endswith(REJECTED), "the fault has its own remedy"
    (probe,) = (step for step in found.steps if step.check == Check.PROBE)
    assert probe.ok is None


def test_a_refused_login_does_not_mean_that_the_host_is_off_the_lan() -> None:
    found = explain(evidence(NO_REPLY_ON_LAN, errors={"host3": LOGIN_REFUSED}))
    assert found.reached is None
    assert found.fault is not None
    assert found.fault.code == FaultCode.NO_LOGIN


def test_a_host_off_the_lan_is_measured_not_to_be_reached() -> None:
    found = explanation(NO_REPLY_ON_LAN, errors={"host3": "192.168.18.130 does not answer"})
    assert found.reached is False


def test_a_missing_route_is_the_cause_where_the_target_has_no_login() -> None:
    found = explanation(host1(routes=WITHOUT_OWN, route_out=REFUSED), errors={"host3": LOGIN_REFUSED})
    assert found.fault is not None
    assert (found.reached, found.fault.code) == (False, FaultCode.ROUTE_MISSING)


@pytest.mark.parametrize(
    ("login", "facts", "command"),
    [
        (
            Login("192.168.18.130", user="ann", port=2222, identity_file="~/.ssh/wrong key", netns="lab"),
            ("user ann", "address 192.168.18.130", "port 2222", "key ~/.ssh/wrong key"),
            "ip netns exec lab ssh -i ~/'.ssh/wrong key' -p 2222 ann@192.168.18.130",
        ),
        (
            Login("web.example", known_hosts="/x/known", jump="eve@gate:23"),
            ("default user", "address web.example", "default port", "default keys"),
            "ssh -J eve@gate:23 -o UserKnownHostsFile=/x/known web.example",
        ),
    ],
)
def test_the_cause_and_the_remedy_have_every_detail_of_the_login(
    login: Login, facts: tuple[str, ...], command: str
) -> None:
    hosts = tuple(replace(each, login=login) if each.name == "host3" else each for each in FLEET.hosts)
    found = explain(evidence(fleet=replace(FLEET, hosts=hosts), errors={"host3": LOGIN_REFUSED}))
    assert found.fault is not None
    assert [fact for fact in facts if fact not in found.fault.cause] == []
    assert found.fault.remedy == command


def test_only_full_size_packets_that_were_sent_can_be_lost() -> None:
    none = "2 packets transmitted, 0 received"
    refused = f"size 1500\nFrom 10.128.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)\n{none}"
    found = explain(evidence({"host1-probe": {"full_size_ping": (1, refused)}}))
    assert found.fault is not None
    assert (found.fault.code, found.reached) == (FaultCode.MTU_TOO_SMALL, True)
    assert all(size in found.fault.cause for size in ("1500", "1400"))
    local = f"size 1500\nping: local error: message too long, mtu=1400\n{none}"
    assert explain(evidence({"host1-probe": {"full_size_ping": (1, local)}})).fault is None


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("host1-snapshot", "links"),
        ("host1-snapshot", "routes"),
        ("host1-snapshot", "sysctls"),
        ("host1-snapshot", "addresses"),
        ("host1-snapshot", "neighbours"),
        ("host1-snapshot", "route_out"),
        ("host1-snapshot", "container_link"),
        ("host1-snapshot", "container.routes"),
    ],
)
@pytest.mark.parametrize("said", ["x", "10.0.0.0/8 via \x1b[31m", "1: \u202e: <> mtu x", "a b c d e f"])
def test_unreadable_output_is_an_error_of_the_host(name: str, section: str, said: str) -> None:
    with pytest.raises(HostError):
        evidence({name: {section: said}})


@pytest.mark.parametrize("ends", [("host1", "host1"), ("host1", "nobody"), ("host1:-x", "host3")])
def test_invalid_ends_are_a_usage_error(ends: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        explain_query(FLEET, *ends, size=56)
