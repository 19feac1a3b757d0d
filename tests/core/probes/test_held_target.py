"""What a host offers to be probed lasts as long as somebody listens: the script that holds it, in the strictest shell.

What nft makes of it is the lab's to show; here it is one that writes down what it is told.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders import host

from dockmesh.core.host_output import HELD_MARKER, split
from dockmesh.core.probes.targets import held_target_script
from dockmesh.pipeline import TEMPLATES

KVM = host("kvm", "192.168.0.9", "10.9.0.0/24", docker=False)
WITHIN_S = 20
NFT = """
nft() { case $* in '-f -') cat >>"$LOG" ;; 'list tables inet') echo "table inet dockmesh-status-$GONE" ;;
  list*) echo "noted" ;; *) echo "$*" >>"$LOG" ;; esac; }
"""
# More than the kernel gives out.
GONE = 1 << 30


@contextmanager
def running(folder: Path, *, hold_s: int = WITHIN_S, cut: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """The script on its way, as far as it got there; dead when the block ends."""
    head, call = held_target_script(KVM, TEMPLATES, offset=0, hold_s=hold_s, observe=True).rsplit("hold_target\n", 1)
    script = f"{head}{NFT}hold_target\n{call}"[:cut]
    with subprocess.Popen(
        ("/bin/dash", "-s"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": "", "LOG": str(folder / "log"), "GONE": str(GONE)},
    ) as process:
        try:
            assert process.stdin
            process.stdin.write(script)
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def first_output(process: subprocess.Popen[str]) -> str:
    """Its first part."""
    assert process.stdout
    lines = ""
    for line in process.stdout:
        lines += line
        if line == f"{HELD_MARKER}\n":
            return lines
    raise AssertionError(lines)


def nft_deletions(folder: Path, process: subprocess.Popen[str]) -> list[str]:
    """What nft was told besides the table, its name with the script's process left out."""
    lines = (folder / "log").read_text().splitlines()
    assert f"table inet dockmesh-status-{process.pid} {{" in lines
    assert "ip daddr 10.9.0.0/24 icmp type echo-request add @v4 { ip saddr . ip daddr . ip length }" in lines
    return [line.replace(str(process.pid), "PID") for line in lines if "delete" in line]


SWEPT = f"delete table inet dockmesh-status-{GONE}"
ENDED = "delete table inet dockmesh-status-PID"


def test_it_answers_stays_and_when_it_is_let_go_it_tells_and_clears_away(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert split(first_output(process)).keys() > {"addresses", "held"}
        assert process.poll() is None
        rest, _ = process.communicate(timeout=WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]
    sections = split(rest)
    assert (sections["observed_pings"].status, sections["observed_pings"].text) == (0, "noted")


def test_it_clears_away_also_where_nobody_listens_any_more(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        process.stdout.close()
        process.wait(WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]


def test_where_stdin_never_ends_its_time_does(tmp_path: Path) -> None:
    with running(tmp_path, hold_s=1) as process:
        process.wait(WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]


def test_a_script_that_was_cut_off_on_its_way_makes_nothing(tmp_path: Path) -> None:
    with running(tmp_path, cut=-len("hold_target\n")) as process:
        process.communicate(timeout=WITHIN_S)
    assert not (tmp_path / "log").exists()
