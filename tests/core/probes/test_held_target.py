"""The script that holds a probe target, in dash.

A fake nft logs its input. The lab tests the real one.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders import host

from dockmesh.core.host_output import HELD_MARKER, split
from dockmesh.core.probes.targets import continued_script, held_target_script
from dockmesh.pipeline import TEMPLATES

KVM = host("kvm", "192.168.0.9", "10.9.0.0/24", docker=False)
WITHIN_S = 20
NFT = """
nft() { case $* in '-f -') cat >>"$LOG" ;; 'list tables inet') echo "table inet dockmesh-status-$GONE" ;;
  list*) echo "noted" ;; *) echo "$*" >>"$LOG" ;; esac; }
"""
# Above the highest PID of the kernel.
GONE = 1 << 30


@contextmanager
def running(folder: Path, *, hold_s: int = WITHIN_S, cut: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """Send the script to a shell, truncated at `cut`. Kills the shell when the block ends."""
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
    """The output up to the marker."""
    assert process.stdout
    lines = ""
    for line in process.stdout:
        lines += line
        if line == f"{HELD_MARKER}\n":
            return lines
    raise AssertionError(lines)


def nft_deletions(folder: Path, process: subprocess.Popen[str]) -> list[str]:
    """The deletions in the log of nft, with PID in place of the process of the script."""
    lines = (folder / "log").read_text().splitlines()
    assert f"table inet dockmesh-status-{process.pid} {{" in lines
    assert "ip daddr 10.9.0.0/24 icmp type echo-request add @v4 { ip saddr . ip daddr . icmp id }" in lines
    return [line.replace(str(process.pid), "PID") for line in lines if "delete" in line]


SWEPT = f"delete table inet dockmesh-status-{GONE}"
ENDED = "delete table inet dockmesh-status-PID"


def test_held_target_reports_and_cleans_up_at_the_end_of_stdin(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert split(first_output(process)).keys() > {"addresses", "held"}
        assert process.poll() is None
        rest, _ = process.communicate(timeout=WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]
    sections = split(rest)
    assert (sections["observed_pings"].status, sections["observed_pings"].text) == (0, "noted")


def test_held_target_cleans_up_after_a_lost_session(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        process.stdout.close()
        process.wait(WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]


def test_held_target_ends_after_its_time_limit(tmp_path: Path) -> None:
    with running(tmp_path, hold_s=1) as process:
        process.wait(WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]


def test_truncated_script_creates_nothing(tmp_path: Path) -> None:
    with running(tmp_path, cut=-len("hold_target\n")) as process:
        process.communicate(timeout=WITHIN_S)
    assert not (tmp_path / "log").exists()


def test_held_target_runs_further_scripts_in_the_same_shell(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdin
        first_output(process)
        for text in ("one", "two"):
            process.stdin.write(f"\n{continued_script(f'run_section more echo {text}')}")
            process.stdin.flush()
            assert split(first_output(process))["more"].text == text
        process.communicate(timeout=WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]


def test_a_truncated_further_script_does_nothing_and_the_target_cleans_up(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        first_output(process)
        rest, _ = process.communicate("\n" + continued_script("run_section more echo text")[: -len("}\n")], WITHIN_S)
        assert nft_deletions(tmp_path, process) == [SWEPT, ENDED]
    assert "@more" not in rest
