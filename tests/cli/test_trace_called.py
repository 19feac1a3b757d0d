"""`dockmesh trace`, from the words on the command line to the files on the disk; the hosts' part is recorded."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from traces import POINTS, capture_set

from dockmesh.cli import main
from dockmesh.core.trace.model import Capture, CaptureSet, TraceQuery
from dockmesh.pipeline import Pipeline

Run = Callable[..., tuple[int, str, str]]
TEXT = """\
hosts:
  host1: {address: 192.168.18.128, prefix: 10.128.0.0/20}
  host3: {address: 192.168.18.130, prefix: 10.128.32.0/20}
  db: {address: 192.168.18.131, docker: false}
"""


@pytest.fixture
def capture_sets(monkeypatch: pytest.MonkeyPatch) -> list[CaptureSet]:
    """What the pipeline brings home, in the place of the hosts; each call takes one."""
    home: list[CaptureSet] = []

    def capture(_pipeline: Pipeline, question: TraceQuery) -> CaptureSet:
        assert question.size in range(100, 1100)
        return home.pop()

    monkeypatch.setattr(Pipeline, "trace", capture)
    return home


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], capture_sets: list[CaptureSet]
) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mesh.yml").write_text(TEXT)

    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dockmesh", "trace", "-i", "mesh.yml", *words])
        monkeypatch.setattr("os._exit", sys.exit)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield called
    assert capture_sets == []


@pytest.mark.parametrize(("name", "status"), [("joined", 0), ("translated", 0), ("refused", 3), ("no_way_back", 3)])
def test_the_exit_status_says_whether_the_reply_came_home(
    run: Run, capture_sets: list[CaptureSet], name: str, status: int
) -> None:
    capture_sets += [capture_set(name), capture_set(name)]
    assert run("host1", "host3")[0] == status
    code, out, _err = run("host1", "host3", "--json")
    assert code == status
    assert json.loads(out)["reached"] is (status == 0)


def test_what_a_host_sent_that_is_no_capture_is_its_error(run: Run, capture_sets: list[CaptureSet]) -> None:
    capture_sets.append(capture_set("joined", {POINTS[3]: b"\x00" * 40}))
    code, out, err = run("host1", "host3")
    assert (code, out) == (3, "")
    assert "capture" in err


def test_captures_are_kept_byte_for_byte_under_names_that_lead_nowhere_else(
    run: Run, capture_sets: list[CaptureSet], tmp_path: Path
) -> None:
    found = capture_set("joined")
    odd = replace(found.captures[0].point, interface="..$(x);\u202e")
    captures = (Capture(odd, found.captures[0].pcap), *found.captures[1:])
    capture_sets.append(replace(found, captures=captures))
    assert run("host1", "host3", "--pcap", "kept/here")[0] == 0
    kept = {file.name: file.read_bytes() for file in (tmp_path / "kept" / "here").iterdir()}
    assert set(kept) == {
        "host1-container-..__x___.pcap",
        "host1-bridge-docker0.pcap",
        "host1-uplink-eth0.pcap",
        "host3-uplink-eth0.pcap",
        "host3-bridge-docker0.pcap",
        "host3-container-eth0.pcap",
    }
    assert kept["host3-uplink-eth0.pcap"] == found.captures[3].pcap


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("host1", "host1"), "same-host"),
        (("host1", "host1:web"), "same-host"),
        (("host1", "nobody"), "unknown-host"),
        (("host1", "db:web"), "no-docker"),
        (("host1:-x", "host3"), "bad-container"),
        (("host1", "host3", "--limit", "host1"), "conflicting-options"),
        (("host1", "host3", "--pcap", "mesh.yml/x"), "cannot-write"),
    ],
)
def test_a_call_that_cannot_be_meant_contacts_nobody(run: Run, words: tuple[str, ...], code: str) -> None:
    status, out, _ = run(*words, "--json")
    assert (status, [each["code"] for each in json.loads(out)["problems"]]) == (4, [code])
    assert run(*words)[:2] == (4, "")


def test_two_ends_are_needed(run: Run) -> None:
    assert run("host1")[0] == 4
