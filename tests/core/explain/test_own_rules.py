"""Faults of dockmesh's own rules on a recorded path: the nft table, its set of peers, and the iptables rules."""

from dataclasses import replace

import pytest
from builders import FLEET
from explanations import Changes, evidence, explanation, recorded_text, trace_of_request, with_replacement

from dockmesh.core.explain.diagnose import explain
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Explanation, Fault

RULES = recorded_text("host3-snapshot", "after.iptables_rules")
TABLE = recorded_text("host3-snapshot", "own_nft")
ROUTES = recorded_text("host3-snapshot", "routes")
ROUTE = "10.128.0.0/20 via 192.168.18.128 dev eth0 proto 201 metric 4201"
ACCEPT = "-d 10.128.32.0/20 -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
RAW = f"[65:67413] -A PREROUTING {ACCEPT}\n"
DOCKER_USER = f"[80:81630] -A DOCKER-USER {ACCEPT}\n"
DOCKERS_RAW = "[100:93654] -A PREROUTING -d 10.128.32.2/32 ! -i docker0 -j DROP\n"
INBOUND = 'ip daddr 10.128.32.0/20 iifname "eth0" ip saddr @peers meta mark set meta mark | 0x00001000'
FORWARD = 'iifname "eth0" ip saddr @peers meta mark set meta mark | 0x00001000 accept'
FLUSHED = TABLE.replace(INBOUND, "").replace(FORWARD, "")


def host3(**changes: str | tuple[int, str]) -> dict[str, Changes]:
    return {"host3-snapshot": {name.replace("__", "."): value for name, value in changes.items()}}


def fault_of(found: Explanation) -> Fault:
    assert found.fault is not None
    return found.fault


def test_the_recording_has_the_texts_that_tests_replace() -> None:
    assert all(each in RULES for each in (RAW, DOCKER_USER, DOCKERS_RAW))
    assert all(each in TABLE for each in (INBOUND, FORWARD, "10.128.0.0/20, ", "192.168.18.128, "))
    assert f"{ROUTE} \n" in ROUTES


@pytest.mark.parametrize("own", [(1, "Error: No such file or directory"), FLUSHED, TABLE.replace(INBOUND, "")])
def test_a_table_that_marks_no_packets_is_the_cause(own: str | tuple[int, str]) -> None:
    fault = fault_of(explanation(host3(own_nft=own)))
    assert (fault.code, fault.remedy) == (FaultCode.MARKS_MISSING, "dockmesh apply --limit host3")
    assert "ip dockmesh of host3" in fault.cause


@pytest.mark.parametrize("network", ["10.128.0.0/20", "192.168.18.128"])
def test_a_peer_missing_from_the_set_is_the_cause(network: str) -> None:
    fault = fault_of(explanation(host3(own_nft=TABLE.replace(f"{network}, ", ""))))
    assert (fault.code, fault.remedy) == (FaultCode.MARKS_MISSING, "dockmesh apply --limit host3")
    assert all(name in fault.cause for name in ("ip dockmesh of host3", network, "host1"))


def test_a_peer_without_route_was_not_in_the_applied_inventory() -> None:
    own = TABLE.replace("10.128.0.0/20, ", "").replace("192.168.18.128, ", "")
    fault = fault_of(explanation(host3(own_nft=own, routes=ROUTES.replace(f"{ROUTE} \n", ""))))
    assert (fault.code, fault.remedy) == (FaultCode.PEER_NOT_IN_INVENTORY, "dockmesh apply --limit host3")
    assert all(name in fault.cause for name in ("host3", "host1"))


def test_the_peers_of_every_uplink_are_accepted() -> None:
    host1 = "set peers2 {\ntype ipv4_addr\nflags interval\nelements = { 10.128.0.0/20, 192.168.18.128 }\n}\n"
    second = (
        TABLE.replace("10.128.0.0/20, ", "")
        .replace("192.168.18.128, ", "")
        .replace("chain inbound", f"{host1}chain inbound")
    )
    assert fault_of(explanation(host3(own_nft=second))).code == FaultCode.MARKS_MISSING
    for rule in (INBOUND, FORWARD):
        second = second.replace(rule, f"{rule}\n{rule.replace('@peers', '@peers2')}")
    assert fault_of(explanation(host3(own_nft=second))).code == FaultCode.NO_ANSWER


@pytest.mark.parametrize(
    ("old", "new", "code", "name"),
    [
        (RAW, "", FaultCode.RAW_ACCEPTS_MISSING, "-d 10.128.32.2/32 ! -i docker0 -j DROP"),
        (RAW + DOCKERS_RAW, DOCKERS_RAW + RAW, FaultCode.RAW_ACCEPTS_MISSING, "-d 10.128.32.2/32 ! -i docker0 -j DROP"),
        (DOCKER_USER, "", FaultCode.DOCKER_USER_FLUSHED, "DOCKER-USER"),
    ],
)
def test_a_missing_accept_rule_is_the_cause(old: str, new: str, code: FaultCode, name: str) -> None:
    fault = fault_of(explanation(host3(after__iptables_rules=RULES.replace(old, new))))
    assert (fault.code, fault.remedy) == (code, "dockmesh apply --limit host3")
    assert all(each in fault.cause for each in ("host3", name))


def test_rules_of_docker_that_were_removed_are_the_cause() -> None:
    empty = f"*filter\n:FORWARD DROP [999999:0]\n:DOCKER-USER - [0:0]\n{DOCKER_USER}"
    found = explanation(host3(after__iptables_rules=empty))
    fault = fault_of(found)
    assert (fault.code, fault.remedy) == (FaultCode.DOCKER_RULES_MISSING, "on host3: systemctl restart docker")
    assert all(each in fault.cause for each in ("FORWARD of host3", "DOCKER-USER"))


def test_table_raw_needs_no_accept_rule_where_docker_drops_nothing() -> None:
    without = RULES.replace(RAW, "").replace(DOCKERS_RAW, "")
    assert fault_of(explanation(host3(after__iptables_rules=without))).code == FaultCode.NO_ANSWER


def test_without_docker_a_missing_rule_in_forward_is_named() -> None:
    hosts = tuple(replace(each, docker=each.name != "host3") for each in FLEET.hosts)
    fleet = replace(FLEET, hosts=hosts)
    both = "".join(f"[0:0] -A FORWARD {ACCEPT.replace('-d', way, 1)}\n" for way in ("-s", "-d"))
    joined = RULES.replace(DOCKER_USER, both)
    for rules, codes in ((joined, []), (RULES, [FaultCode.FORWARD_FLUSHED])):
        found = explain(evidence(host3(after__iptables_rules=rules), fleet=fleet))
        faults = [step.fault for step in found.steps if step.check == Check.FILTER and step.fault]
        assert [fault.code for fault in faults] == codes
        # The target is the host itself, which does not forward the probe.
        assert not any(fault.blocks for fault in faults)


def test_a_damage_that_replies_survive_is_named_but_blocks_nothing() -> None:
    flushed = with_replacement("host1-snapshot", "after.iptables_rules", "-A DOCKER-USER -d", "-A OTHER -d")
    found = explanation({"host1-snapshot": flushed}, lost=False)
    assert (found.reached, fault_of(found).code) == (True, FaultCode.DOCKER_USER_FLUSHED)
    lacking = with_replacement("host1-snapshot", "own_nft", "10.128.32.0/20,", "")
    found = explanation({"host1-snapshot": lacking}, lost=False)
    assert (found.reached, fault_of(found).code) == (True, FaultCode.MASQUERADED)


def test_a_drop_of_docker_that_other_traffic_met_is_no_cause() -> None:
    """A host that cannot trace: the accept rule is certain, because the table marks the probe."""
    busy = RULES.replace(DOCKERS_RAW, DOCKERS_RAW.replace("100:", "900:"))
    assert fault_of(explanation(host3(after__iptables_rules=busy))).code == FaultCode.NO_ANSWER


def test_the_accept_rules_counter_shows_whether_the_probe_arrived() -> None:
    before = recorded_text("host3-prepared", "before.iptables_rules")
    counted = next(line for line in before.splitlines() if " -A DOCKER-USER " in line)
    quiet = RULES.replace(DOCKER_USER, f"{counted}\n")
    assert fault_of(explanation(host3(after__iptables_rules=quiet))).code == FaultCode.LOST_BETWEEN


@pytest.mark.parametrize(
    ("own", "remedy"),
    [
        (recorded_text("host1-snapshot", "own_nft"), "on host1: nft list ruleset"),
        ((1, ""), "dockmesh apply --limit host1"),
    ],
)
def test_masquerading_is_a_fault_without_source_nat(own: str | tuple[int, str], remedy: str) -> None:
    hidden: dict[str, Changes] = {"host1-snapshot": {"own_nft": own}}
    traces = trace_of_request(source="192.168.18.128")
    found = explanation(hidden, lost=False, traces=traces)
    fault = fault_of(found)
    assert (found.reached, fault.code) == (True, FaultCode.MASQUERADED)
    assert fault.remedy.startswith(remedy)
    assert all(name in fault.cause for name in ("host3", "192.168.18.128", "10.128.0.2", "host1"))
    wanted = replace(FLEET, settings=replace(FLEET.settings, source_nat=True))
    assert explain(evidence(fleet=wanted, traces=traces)).fault is None


def test_the_source_address_is_unknown_without_a_trace() -> None:
    found = explanation(lost=False)
    (step,) = (step for step in found.steps if step.check == Check.SOURCE)
    assert (found.fault, step.ok) == (None, None)
