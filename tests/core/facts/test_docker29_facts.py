"""The facts of real hosts with Docker 29.7.2, before and after they joined, and after Docker read its file again.

The recordings contain all that a reading asks of Docker, the firewall and the addresses. Files and units of dockmesh
come from the recordings that they are crafted over.
"""

import json
import re
from ipaddress import IPv4Interface

import pytest
from builders import NOW, WIDE, facts, fleet, host, plan_of, recording, section_text
from host_models import failing_probes

from dockmesh.core.desired.docker_pools import pools
from dockmesh.core.desired.host_state import desired
from dockmesh.core.facts.host_facts import parse_facts
from dockmesh.core.forecast.build_model import build_model
from dockmesh.core.names import DAEMON_JSON, REASSERT_SCRIPT
from dockmesh.core.state.resources import AcceptRules, DockerNetworking, NftAdmission, NftTable, Route, key_of
from dockmesh.pipeline import TEMPLATES

FLEET29 = fleet(
    host("docker20", "10.66.0.11", "10.140.16.0/20", "10.140.16.1/24"),
    host("docker28", "10.66.0.13", "10.140.32.0/20", "10.140.32.1/24"),
    host("iptables", "10.66.0.29", "10.140.48.0/20", "10.140.48.1/24"),
    host("nftables", "10.66.0.30", "10.140.64.0/20", "10.140.64.1/24"),
)
BACKENDS = ("iptables", "nftables")
DOCKERS_OWN = NftAdmission(None, direct_routing=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fresh_host_has_no_resource_of_dockmesh(backend: str) -> None:
    found = facts(f"docker29_{backend}_fresh", of=FLEET29.host(backend))
    assert found.docker is not None
    assert (found.docker.version, found.docker.firewall_backend) == ("29.7.2", backend)
    assert not any((found.docker.rootless, found.docker.swarm, found.docker.live_restore))
    assert [container.name for container in found.docker.containers] == ["c1"]
    assert found.docker_user == {4, 6}, "Docker 29 has this chain with both backends"
    assert found.forward_drops == (backend == "iptables")
    admission = DOCKERS_OWN if backend == "nftables" else None
    assert found.actual.docker == DockerNetworking(IPv4Interface("172.17.0.1/16"), admission=admission)
    assert not [each for kind in (Route, AcceptRules, NftTable) for each in found.actual.of(kind)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_joined_host_has_what_dockmesh_wrote(backend: str) -> None:
    me = FLEET29.host(backend)
    found = facts(f"docker29_{backend}_joined", of=me)
    assert {route.prefix for route in found.actual.of(Route)} == {peer.prefix for peer in FLEET29.hosts} - {me.prefix}
    assert found.actual.docker is not None
    assert (found.actual.docker.address, found.actual.docker.pools) == (me.bridge, pools(FLEET29, me, found))
    wanted = desired(FLEET29, me, found, WIDE, TEMPLATES)
    assert found.actual.of(AcceptRules) == wanted.of(AcceptRules)
    assert found.actual.of(NftTable) == wanted.of(NftTable)
    assert {network.name for network in found.user_networks} == {"app", "host", "none"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_joined_host_needs_no_change_of_docker_or_its_firewall(backend: str) -> None:
    me = FLEET29.host(backend)
    plan = plan_of(facts(f"docker29_{backend}_joined", of=me), me, FLEET29)
    assert {key_of(change.resource)[1] for change in plan.changes} == {REASSERT_SCRIPT}, "of another fleet"
    assert plan.conflicts == ()


@pytest.mark.parametrize(("state", "failing"), [("fresh", {BACKENDS, BACKENDS[::-1]}), ("joined", set())])
def test_the_forecast_models_the_iptables_rules(state: str, failing: set[tuple[str, str]]) -> None:
    """Between the recorded host and its mirror image at the address of its peer."""
    one, two = map(FLEET29.host, BACKENDS)
    text = recording(f"docker29_iptables_{state}")
    here, there = ((str(each.underlay), str(each.prefix)[:9]) for each in (one, two))
    swapped = dict(zip((*here, *there), (*there, *here), strict=True))
    mirrored = re.sub("|".join(map(re.escape, swapped)), lambda match: swapped[match[0]], text)
    models = [build_model(one, parse_facts(one, text, NOW)), build_model(two, parse_facts(two, mirrored, NOW))]
    assert {(source, target) for source, target, _kind in failing_probes(models)} == failing


@pytest.mark.parametrize("base", ["", "invalid Prefix"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_after_a_reload_the_pools_are_those_of_the_file(backend: str, base: str) -> None:
    """Docker 29 no longer reports their bases; what else it prints is the same."""
    me, name = FLEET29.host(backend), f"docker29_{backend}_reloaded"
    info = json.loads(section_text(name, "docker_info"))
    rows = info["DefaultAddressPools"]
    assert [row["Base"] for row in rows] == [""] * len(rows)
    info["DefaultAddressPools"] = [row | {"Base": base} for row in rows]
    found = facts(name, {"docker_info": json.dumps(info)}, of=me)
    joined = facts(f"docker29_{backend}_joined", of=me)
    assert found.file(DAEMON_JSON)
    assert found.actual == joined.actual
    assert plan_of(found, me, FLEET29) == plan_of(joined, me, FLEET29)
