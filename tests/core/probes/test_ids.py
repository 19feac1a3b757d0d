"""The ICMP ids of probes."""

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.probes.ids import nonce, probe_ids
from dockmesh.core.probes.model import EXPECTED_TTL

SEEDS, PHASES, HOSTS = st.integers(0, 2**64 - 1), st.integers(0, 50), st.integers(1, 21_840)
KINDS = list(EXPECTED_TTL)


@given(SEEDS, PHASES, HOSTS, st.data())
def test_probes_of_a_phase_to_one_target_have_distinct_ids(
    seed: int, phase: int, hosts: int, data: st.DataObject
) -> None:
    target = data.draw(st.integers(0, hosts - 1))
    ids = [probe_ids(seed, phase, source).of(kind, target) for source in range(0, hosts, 7) for kind in KINDS]
    assert len(set(ids)) == len(ids)
    assert 0 < min(ids) <= max(ids) < 1 << 16


@given(SEEDS, PHASES, HOSTS, st.data())
def test_probes_of_one_source_have_distinct_ids(seed: int, phase: int, hosts: int, data: st.DataObject) -> None:
    source = probe_ids(seed, phase, data.draw(st.integers(0, hosts - 1)))
    ids = [source.of(kind, target) for target in range(0, hosts, 7) for kind in KINDS]
    assert len(set(ids)) == len(ids)


@given(SEEDS, HOSTS, HOSTS, st.sampled_from(KINDS))
def test_no_phase_of_a_run_reuses_the_id_of_a_probe(seed: int, source: int, target: int, kind: str) -> None:
    ids = [probe_ids(seed, phase, source).of(kind, target) for phase in range(300)]
    assert len(set(ids)) == len(ids)


def test_nonces_differ_by_run_phase_and_source() -> None:
    found = {nonce(seed, phase, at) for seed in range(4) for phase in range(4) for at in range(4)}
    assert len(found) == 4**3
    assert {len(each) for each in found} == {8}
