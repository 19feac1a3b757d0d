"""Real hosts for every test in this folder: one lab for all tests of a worker, named `test`."""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

import evidence
import labs
import mesh
import pytest
from lab_state import ApplyRecord, SharedHosts
from mesh import Mesh

from dockmesh.lab.running import Lab

_IDS = "tests/lab/"
_BEGUN = pytest.StashKey[bool]()
_SINCE = pytest.StashKey[float]()
# In order of their duration. Workers take the first remaining module, so short ones end the run. New modules come
# first.
_LONGEST_FIRST = (
    "test_explain",
    "test_networks",
    "test_docker29",
    "test_faults_of_hosts",
    "test_confirm",
    "test_other_hosts",
    "test_faults_of_the_controller",
    "test_power_cuts",
    "test_forecast",
    "test_trace",
    "test_containers",
    "test_pending",
    "test_persistence",
    "test_mesh_ipv6",
    "test_a_hostile_host",
    "test_changes",
    "test_churn",
    "test_full_size",
    "test_marks",
    "test_mesh",
    "test_lab",
    "test_logins",
    "test_refusals",
    "test_packet_cost",
    "test_newcomer",
    "test_source_seen",
    "test_probes",
    "test_status_parts",
    "test_reports",
    "test_names",
    "test_init",
    "test_ci_example",
    "test_allocate_probed",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.nodeid.startswith(_IDS)]
    for item in ours:
        item.add_marker(pytest.mark.lab)
    items[:] = [item for item in items if not item.nodeid.startswith(_IDS)] + sorted(ours, key=_order)


def _order(item: pytest.Item) -> tuple[int, str, bool]:
    """Sort by module. In each, tests of original hosts come last, because each change of state takes time."""
    module = item.path.stem
    place = _LONGEST_FIRST.index(module) if module in _LONGEST_FIRST else -1
    return place, module, isinstance(item, pytest.Function) and "fresh" in item.fixturenames


def pytest_collection_finish(session: pytest.Session) -> None:
    """For a run without workers."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _start_run(session.config, [item.nodeid for item in session.items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """For the controlling process of workers. A path of this folder must be on its command line."""
    _start_run(node.config, ids)


def _start_run(config: pytest.Config, ids: list[str]) -> None:
    """Remove old labs before the run and all labs after it, even after SIGTERM."""
    if config.option.collectonly or config.stash.get(_BEGUN, False) or not any(each.startswith(_IDS) for each in ids):
        return
    config.stash[_BEGUN] = True
    run = ExitStack()
    config.add_cleanup(run.close)
    run.enter_context(_sigterm_interrupts())
    run.enter_context(labs.labs_of_run())


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does."""

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    since = item.stash.setdefault(_SINCE, call.start)
    if report.failed:
        report.sections += evidence.journals_of(item.funcargs.values(), since)
    return report


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Four hosts, fresh at the start of the session and shared by its tests.

    The first three have one generation of Docker each; the fourth is for the roles that need none.
    """
    with labs.running_lab("test", 4) as standing:
        yield standing


@pytest.fixture(scope="session")
def shared_hosts(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> SharedHosts:
    """The hosts, with the files and rules of an administrator."""
    three = mesh.write_inventory(lab, tmp_path_factory.mktemp("three"), {"host1": {}, "host2": {}, "host3": {}})
    return SharedHosts(lab, three)


@pytest.fixture
def fresh(shared_hosts: SharedHosts) -> Iterator[Mesh]:
    """The mesh of three hosts in their original state. The test must leave them so, or joined."""
    shared_hosts.restore_found()
    yield shared_hosts.mesh
    shared_hosts.check()


@pytest.fixture
def joined(shared_hosts: SharedHosts) -> Iterator[Mesh]:
    """The mesh of three joined hosts. The test must leave them joined or in their original state."""
    shared_hosts.ensure_joined()
    yield shared_hosts.mesh
    shared_hosts.check()


@pytest.fixture
def apply_record(shared_hosts: SharedHosts) -> ApplyRecord:
    """The record of the join of the three hosts, for tests that change nothing."""
    return shared_hosts.ensure_joined()
