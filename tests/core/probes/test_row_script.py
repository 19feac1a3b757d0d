"""The script of a row: the program that sends it, and ping where perl cannot."""

import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from builders import row, run_shell

from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.pipeline import TEMPLATES

PROBES = [Probe("host1", name, "host-bridge") for name in ("host2", "host3")]
TARGETS = {name: ProbeTarget(IPv4Address(f"10.0.0.{at}")) for at, name in enumerate(("host1", "host2", "host3"))}


def lines(folder: Path) -> list[str]:
    """The lines that the script of the row prints with the programs of a folder."""
    script = f"{TEMPLATES.output}\n{TEMPLATES.probe}\n{row(PROBES, TARGETS)}"
    script = script.replace("PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin", "")
    return run_shell(script, path=str(folder)).splitlines()


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def with_ping(tmp_path: Path) -> Path:
    program(tmp_path, "ping", 'case "$*" in *10.0.0.*) echo "pinged $*" ;; *) echo usage ;; esac')
    return tmp_path


def test_perl_sends_the_row_and_ping_does_not(with_ping: Path) -> None:
    program(with_ping, "perl", 'while read -r line; do echo "$line sent"; done')
    head, *sent = lines(with_ping)
    assert head == "@probes 0"
    assert [line.split()[:3] for line in sent] == [["0", "host", "10.0.0.1"], ["1", "host", "10.0.0.2"]]


@pytest.mark.parametrize("perl", ["", "exit 3"])
def test_ping_sends_the_row_without_perl_or_its_raw_sockets(with_ping: Path, perl: str) -> None:
    if perl:
        program(with_ping, "perl", perl)
    found = sorted(lines(with_ping)[1:])
    assert [line[:11] for line in found] == [" 0 . pinged", " 1 . pinged"]
    assert ["-e" in line.split() for line in found] == [True, True]


def test_a_ping_without_the_option_chooses_its_id(with_ping: Path) -> None:
    program(
        with_ping, "ping", 'case "$*" in *10.0.0.*) echo "pinged $*" ;; *) echo "ping: invalid option -- e" ;; esac'
    )
    assert all("-e" not in line.split() for line in lines(with_ping))


@pytest.mark.parametrize("text", [TEMPLATES.prober, row([], {}).partition("prober=")[2].partition("\nprobes()")[0]])
def test_program_passes_the_syntax_check_of_perl(text: str) -> None:
    # In the script, the program is one word in single quotes without any inside.
    ended = subprocess.run(
        ("perl", "-wc", "-e", text.strip("'")), check=False, capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stderr.strip()) == (0, "-e syntax OK")
