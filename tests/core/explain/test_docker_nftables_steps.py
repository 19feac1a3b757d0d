"""Faults on a host with Docker's nftables backend: a recorded path to host3, with an nft ruleset.

The ruleset comes from the lab's stand-in for Docker 29 after it joined.
"""

import re

import pytest
from builders import FLEET
from explanations import DATA, Changes, explanation, trace_of_request

from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Explanation
from dockmesh.core.model import Fleet

RULESET = (DATA / "nftables-ruleset.txt").read_text(encoding="utf-8").rstrip("\n")
DIRECT = (
    'ip daddr 10.128.32.2 iifname != "docker0" counter packets {} bytes 0 drop comment "DROP DIRECT ACCESS" # handle 9'
)
RAW = "type filter hook prerouting priority raw; policy accept;"
INTO = 'meta mark & 0x00001000 == 0x00001000 counter packets 11 bytes 2478 accept comment "ALLOW FW MARK" # handle 22'
UNPUBLISHED = 'counter packets {} bytes 0 drop comment "UNPUBLISHED PORT DROP"'
OTHERS = "ip saddr != 10.128.32.0/20 counter packets {} bytes 0 drop"
OWN = RULESET[RULESET.index("table ip dockmesh") :]
NO_RULES = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [9:756]\n:OUTPUT ACCEPT [0:0]\nCOMMIT"


def explain_ruleset(
    after: str,
    *,
    lost: bool = True,
    rules: str = NO_RULES,
    fleet: Fleet = FLEET,
    traces: dict[str, str] | None = None,
) -> Explanation:
    before = rules.replace("[9:756]", "[0:0]")
    changes: dict[str, Changes] = {
        "host3-prepared": {"before.iptables_rules": before, "before.nft_ruleset": RULESET},
        "host3-snapshot": {"after.iptables_rules": rules, "after.nft_ruleset": after, "own_nft": own_table(after)},
    }
    return explanation(changes, lost=lost, fleet=fleet, traces=traces)


def own_table(ruleset: str) -> str | tuple[int, str]:
    """The listing of dockmesh's table in a ruleset, without handles and counters."""
    _, name, text = ruleset.partition("table ip dockmesh")
    return re.sub(r" # handle \d+|(?<= counter) packets \d+ bytes \d+", "", name + text) or (1, "")


def test_without_a_fault_the_accepting_table_is_named() -> None:
    good = explain_ruleset(RULESET, lost=False, traces=trace_of_request())
    assert good.fault is None
    assert all(step.ok for step in good.steps)
    details = {(step.host, step.direction, step.check): step.detail for step in good.steps}
    assert all(name in details["host3", "there", "marks"] for name in ("ip dockmesh", "host1"))
    assert all(name in details["host1", "there", "source"] for name in ("host3", "10.128.0.2"))


@pytest.mark.parametrize(
    ("after", "code", "names"),
    [
        (
            RULESET.replace(RAW, f"{RAW}\n\t\t{DIRECT.format(3)}"),
            FaultCode.DIRECT_ROUTING_REFUSED,
            ("host3", "allow-direct-routing", "ip daddr 10.128.32.2 "),
        ),
        (
            RULESET.replace(INTO, "").replace(UNPUBLISHED.format(0), UNPUBLISHED.format(3)),
            FaultCode.MARK_NOT_ACCEPTED,
            ("host3", "bridge-accept-fwmark", "drop comment"),
        ),
        (
            RULESET.replace(OWN, "").replace(UNPUBLISHED.format(0), UNPUBLISHED.format(3)),
            FaultCode.MARKS_MISSING,
            ("host3", "ip dockmesh"),
        ),
        (
            RULESET.replace("10.128.0.0/20, ", ""),
            FaultCode.MARKS_MISSING,
            ("host3", "10.128.0.0/20", "host1"),
        ),
        (
            RULESET.replace(OTHERS.format(0), OTHERS.format(3)),
            FaultCode.NOT_ACCEPTED,
            ("host3", "ip dockmesh", "ip saddr != 10.128.32.0/20"),
        ),
    ],
)
def test_each_fault_has_its_code_and_apply_as_remedy(after: str, code: FaultCode, names: tuple[str, ...]) -> None:
    assert after != RULESET
    fault = explain_ruleset(after).fault
    assert fault is not None
    assert fault.code == code, fault
    assert all(name in fault.cause for name in names)
    assert fault.remedy == "dockmesh apply --limit host3"


def test_packets_counted_before_the_probe_do_not_count() -> None:
    dropped = RULESET.replace(UNPUBLISHED.format(0), UNPUBLISHED.format(3))
    found = explanation(
        {
            "host3-prepared": {"before.iptables_rules": NO_RULES, "before.nft_ruleset": dropped},
            "host3-snapshot": {"after.iptables_rules": NO_RULES, "after.nft_ruleset": dropped},
        }
    )
    assert found.fault is not None
    assert found.fault.code == FaultCode.NO_ANSWER


def test_an_iptables_policy_is_foreign_with_the_nftables_backend() -> None:
    fault = explain_ruleset(RULESET, rules=NO_RULES.replace("FORWARD ACCEPT", "FORWARD DROP")).fault
    assert fault is not None
    assert fault.code == FaultCode.HOST_FIREWALL_DROP
    assert re.search(r"iptables -P FORWARD DROP\b.*\b9\b", fault.cause)


def test_a_drop_in_a_foreign_table_is_a_possible_cause_without_a_trace() -> None:
    theirs = "table inet fw {\n\tchain gate {\n\t\ttype filter hook forward priority 10; policy accept;\n"
    rule = f"{theirs}\t\tip saddr 10.128.0.0/20 counter packets 3 bytes 252 drop # handle 7\n\t}}\n}}"
    fault = explain_ruleset(f"{RULESET}\n{rule}").fault
    assert fault is not None
    assert (fault.code, fault.remedy) == (FaultCode.HOST_FIREWALL_DROP, "dockmesh trace host1 host3")
    assert "inet fw gate" in fault.cause


def test_the_recorded_ruleset_has_the_rules_that_tests_change() -> None:
    assert all(each in RULESET for each in (RAW, INTO, UNPUBLISHED.format(0), OTHERS.format(0)))
