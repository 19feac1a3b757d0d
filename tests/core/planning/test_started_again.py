"""What a host starts again after a restart of Docker, with stand-ins for docker and systemctl."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import pytest

from dockmesh.core.host_output import Section, split
from dockmesh.core.planning import transaction
from dockmesh.core.planning.findings import WarningCode
from dockmesh.errors import HostError
from dockmesh.pipeline import TEMPLATES

# Answers from files. `start` writes a line of the log, and fails with the text of the file broken/NAME.
DOCKER = """#!/bin/sh
case "$1 $2" in
'ps -q') cat "$DATA/running" ;;
'ps -aq') cat "$DATA/existing" ;;
inspect*) shift 3; for id in "$@"; do grep "^$id/" "$DATA/inspected"; done ;;
start*)
  echo "$2" >>"$DATA/log"
  [ ! -e "$DATA/broken/$2" ] || { cat "$DATA/broken/$2" >&2; exit 1; }
  [ ! -e "$DATA/hangs/$2" ] || exec sleep 60 ;;
esac
"""


@dataclass
class Stub:
    """The folder of the stand-ins, and a pending change. `containers`: id/name with the modes that Docker prints."""

    folder: Path
    containers: tuple[str, ...]
    running: tuple[str, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)
    hangs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("bin", "broken", "hangs", "pending"):
            (self.folder / name).mkdir()
        for program in ("docker", "systemctl"):
            (self.folder / "bin" / program).write_text(DOCKER)
            (self.folder / "bin" / program).chmod(0o755)
        ids = [each.partition("/")[0] for each in self.containers]
        self._write("inspected", self.containers)
        self._write("existing", ids)
        self._write("running", self.running)
        for name, text in self.broken.items():
            (self.folder / "broken" / name).write_text(text)
        for name in self.hangs:
            (self.folder / "hangs" / name).touch()

    def _write(self, name: str, lines: tuple[str, ...] | list[str]) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    def run(self, call: str) -> str:
        texts = (TEMPLATES.output, TEMPLATES.host_steps, TEMPLATES.transaction)
        pending = f"PENDING={quote(str(self.folder / 'pending'))} START_S=1"
        ended = subprocess.run(
            ("/bin/dash",),
            input="\n".join((*texts, pending, call)),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "DATA": str(self.folder)},
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    @property
    def started(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().split() if log.exists() else []

    def left(self, name: str) -> list[str]:
        return (self.folder / "pending" / name).read_text().split()


def test_only_what_still_exists_and_does_not_run_is_started_once(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ("a/web bridge private ", "b/db bridge private ", "c/old bridge private "), running=("b",))
    stub.run("RUNNING_CONTAINERS='a b gone' DEPENDENTS=; start_units && start_containers")
    assert stub.started == ["a"]
    assert stub.left("containers") == []
    assert not (tmp_path / "pending" / "warnings").exists()


def test_a_host_may_have_thousands_of_containers(tmp_path: Path) -> None:
    ids = [f"{number:064x}" for number in range(4000)]
    stub = Stub(tmp_path, tuple(f"{each}/web bridge private " for each in ids))
    stub.run(f"RUNNING_CONTAINERS='{ids[7]} {ids[3999]}' DEPENDENTS=; start_units && start_containers")
    assert stub.started == [ids[7], ids[3999]]


def test_containers_that_would_start_late_are_left_to_systemd(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ("a/web bridge private ", "b/db bridge private "))
    program = tmp_path / "bin" / "systemd-run"
    program.write_text('#!/bin/sh\necho "later $*" >>"$DATA/log"\n')
    program.chmod(0o755)
    stub.run("ALL_STARTS_S=0 RUNNING_CONTAINERS='a b' DEPENDENTS=; start_units && start_containers")
    assert stub.started == ["later", "--quiet", "--collect", "--no-block", "docker", "start", "a", "b"]
    assert stub.left("containers") == ["a", "b"]


def test_units_that_would_start_late_are_left_to_systemd(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ())
    stub.run("ALL_STARTS_S=0 RUNNING_CONTAINERS= DEPENDENTS=u.service; start_units")
    assert stub.started == ["--no-block"]
    assert stub.left("dependents") == ["u.service"]
    assert stub.left("warnings")[:2] == ["unit-not-started", "u.service"]


def test_units_that_need_a_dependent_of_docker_are_dependents(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ())
    (tmp_path / "bin" / "systemctl").write_text(
        """#!/bin/sh
case "$*" in
'show docker.service docker.socket -p '*) printf 'docker.service\n\nb.service\n' ;;
'show docker.service docker.socket b.service -p '*) printf 'docker.service b.service c.service\n' ;;
'show docker.service docker.socket b.service c.service -p '*) printf 'docker.service c.service\n' ;;
esac
"""
    )
    assert stub.run("active_dependents").split() == ["b.service", "c.service"]


def test_a_warning_that_a_full_disk_has_cut_is_dropped(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ())
    (tmp_path / "pending" / "warnings").write_text(
        'container-not-started web no "such" file\nunit-notunit-not-started b c\ncontainer-not-st'
    )
    assert json.loads(stub.run('read_warnings; printf "[%s]" "$warnings"'))[0]["key"] == "web"


@pytest.mark.parametrize("order", ["a b c d e", "e d c b a", "c a e b d"])
def test_a_container_starts_after_those_that_it_needs(tmp_path: Path, order: str) -> None:
    modes = (
        "a/net bridge private ",
        "b/user container:a private ",
        "c/chained container:b host container:d",
        "d/linked bridge container:b  /net:/linked/alias",
        "e/named container:net private ",
    )
    stub = Stub(tmp_path, modes)
    stub.run(f"RUNNING_CONTAINERS='{order}' DEPENDENTS=; start_units && start_containers")
    assert sorted(stub.started) == ["a", "b", "c", "d", "e"]
    for first, second in ("ab", "ae", "bc", "bd", "dc", "ad"):
        assert stub.started.index(first) < stub.started.index(second)


def test_a_network_with_the_name_of_a_container_is_no_dependency(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ("a/web db private ", "b/db bridge private "))
    stub.run("RUNNING_CONTAINERS='a b' DEPENDENTS=; start_units && start_containers")
    assert stub.started == ["a", "b"]


def test_a_failed_start_is_a_warning_and_is_left_for_the_next_attempt(tmp_path: Path) -> None:
    text = 'Error response from daemon: no "path" \\x\x1b\nmore\nError: failed to start containers: a\n'
    stub = Stub(
        tmp_path,
        ("a/web bridge private ", "b/db bridge private ", "c/slow bridge private "),
        broken={"a": text, "app.service": "Job failed."},
        hangs=("c",),
    )
    script = "RUNNING_CONTAINERS='a b c' DEPENDENTS='app.service other.service'; start_units && start_containers"
    outcome = stub.run(f"{script}\nread_warnings; emit_outcome confirmed '' ''; run_section end true")
    assert stub.started == ["app.service", "other.service", "a", "b", "c"]
    assert (stub.left("containers"), stub.left("dependents")) == (["a", "c"], ["app.service"])
    found = transaction.parse_outcome(split(outcome)["outcome"]).warnings
    assert [(each.code, each.key) for each in found] == [
        (WarningCode.UNIT_NOT_STARTED, "app.service"),
        (WarningCode.CONTAINER_NOT_STARTED, "web"),
        (WarningCode.CONTAINER_NOT_STARTED, "slow"),
    ]
    assert found[1].message.endswith(': no "path" \\x  more')
    assert found[1].message.isprintable()
    assert found[1].remedy.endswith("docker start web")


def test_a_large_error_and_many_warnings_are_bounded(tmp_path: Path) -> None:
    many = [f"i{number}" for number in range(120)]
    stub = Stub(
        tmp_path,
        tuple(f"{each}/n{each} bridge private " for each in many),
        broken=dict.fromkeys(many, "é" * 40000),
    )
    outcome = stub.run(
        f"RUNNING_CONTAINERS='{' '.join(many)}' DEPENDENTS=; start_units && start_containers\n"
        "read_warnings; emit_outcome reverted x 'y'; run_section end true"
    )
    found = transaction.parse_outcome(split(outcome)["outcome"]).warnings
    assert len(found) == 100
    assert max(len(each.message) for each in found) < 600


def test_before_docker_stops_what_runs_joins_what_is_left(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ("a/web bridge private ", "b/db bridge private "), running=("b",))
    stubs = "docker_active() { :; }; active_dependents() { echo new.service; }"
    stub.run(f"{stubs}\nRUNNING_CONTAINERS=a DEPENDENTS=old.service; note_running")
    assert stub.left("containers") == ["a", "b"]
    assert stub.left("dependents") == ["old.service", "new.service"]


def test_a_folder_that_cannot_be_written_stops_no_start(tmp_path: Path) -> None:
    stub = Stub(tmp_path, ("a/web bridge private ", "b/db bridge private "), broken={"a": "no"})
    stub.run("PENDING=/nonexistent RUNNING_CONTAINERS='a b' DEPENDENTS=; start_units && start_containers")
    assert stub.started == ["a", "b"]


@pytest.mark.parametrize(
    "warnings",
    [{}, [1], [{}], [{"code": "other", "key": "a", "error": ""}], [{"code": "container-not-started", "key": "a"}]],
)
def test_warnings_of_another_form_are_a_host_error(warnings: object) -> None:
    document = {"status": "confirmed", "code": "", "error": "", "warnings": warnings}
    with pytest.raises(HostError) as raised:
        transaction.parse_outcome(Section(0, json.dumps(document)))
    assert raised.value.code == "answer-unreadable"
