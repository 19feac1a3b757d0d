import json
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml
from refusals import missing_facts

from dockmesh.lab import inventory, state
from dockmesh.lab.bootstrap import UnknownReleaseError, is_unknown
from dockmesh.lab.topology import topology

COMMITTED = Path(__file__).parents[2] / "inventory" / "lab.yml"
STATE = state.State("demo", 2, ("bookworm", "trixie"), {"bookworm": "/a", "trixie": "/b"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(inventory, "FOLDER", tmp_path)
    monkeypatch.setattr(state, "FOLDER", tmp_path)
    return tmp_path


def test_the_inventory_in_the_repository_is_what_lab_up_writes_by_default() -> None:
    assert COMMITTED.read_text() == inventory.inventory(topology("demo", 3))


def test_the_inventory_names_every_host_and_the_namespace_to_reach_them_from() -> None:
    document = yaml.safe_load(inventory.inventory(topology("a", 5)))
    assert document["connection"]["netns"] == "dockmesh-a"
    assert list(document["hosts"]) == [f"host{number}" for number in range(1, 6)]
    assert "bridge" not in document["hosts"]["host1"]


def test_known_hosts_lists_each_host_by_name_and_address() -> None:
    lines = inventory.known_hosts(topology("a", 2), {"host1": "ssh-ed25519 A", "host2": "ssh-ed25519 B"})
    assert lines == "host1,192.168.18.128 ssh-ed25519 A\nhost2,192.168.18.129 ssh-ed25519 B\n"


def test_a_state_is_read_as_it_was_written(folder: Path) -> None:
    STATE.write()
    assert state.State.read("demo") == STATE
    assert [path.name for path in (folder / "demo").iterdir()] == ["state.json"]


def test_the_topology_follows_from_the_state() -> None:
    assert STATE.topology == topology("demo", 2, ("bookworm", "trixie"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"format": "dockmesh/lab/2"})])
def test_a_state_that_cannot_be_read_is_none(folder: Path, text: str) -> None:
    (folder / "demo").mkdir()
    (folder / "demo" / "state.json").write_text(text)
    assert state.State.read("demo") is None


def test_no_state_is_none(folder: Path) -> None:
    assert not (folder / "demo").exists()
    assert state.State.read("demo") is None


def test_a_lab_has_one_user_at_a_time_even_when_its_lock_file_is_removed(folder: Path) -> None:
    waits, entered = Event(), Event()

    def second() -> None:
        with state.locked("demo", waits.set):
            entered.set()

    other = Thread(target=second)
    with state.locked("demo"):
        other.start()
        assert waits.wait(5)
        assert not entered.is_set()
        state.forget("demo")
    other.join(5)
    assert entered.is_set()
    assert (folder / "demo.lock").exists()


def test_a_release_that_the_mirror_lacks_is_told_apart_from_a_mirror_that_fails() -> None:
    missing = "I: Retrieving Release \nE: Failed getting release file http://m/debian/dists/trixy/Release\n"
    assert is_unknown("trixy", missing)
    assert not is_unknown("trixie", missing)
    assert not is_unknown("trixy", "E: Couldn't download packages: busybox-static\n")
    error = UnknownReleaseError("trixy", "http://m")
    assert (error.code, missing_facts(str(error), "http://m 'trixy' bookworm trixie forky")) == ("unknown-release", [])
