"""The outputs in tests/data/facts have the sections that templates/facts.sh writes."""

import re
from pathlib import Path

import pytest
from builders import DATA, GENERATIONS, recording, run_shell

from dockmesh.core.facts.script import facts_script
from dockmesh.pipeline import TEMPLATES

RECORD_ANEW = "templates/facts.sh has changed: run make record"
# The state of docker.service on each recorded host.
RECORDINGS = {
    **{f"{release}_{state}": "active" for release in GENERATIONS for state in ("fresh", "joined", "dual")},
    **{f"{release}_stopped": "inactive" for release in GENERATIONS},
    "nftables_fresh": "active",
    "nftables_joined": "active",
}
# The same of crafted hosts; None without Docker. The script reads the version of ip only if ip fails.
CRAFTED = {
    "busybox_ip": "active",
    "crowded": "active",
    **{
        f"docker29_{backend}_{state}": "active"
        for backend in ("iptables", "nftables")
        for state in ("fresh", "joined", "reloaded")
    },
    "hostile": "active",
    "no_docker": None,
    "not_root": "active",
    "old_iproute2": "active",
    "rootless": "active",
    "snap": "active",
    "snap_alone": "inactive",
}
# The programs whose output determines the sections.
PROGRAMS = {
    "ip": 'printf "%s: lo: <LOOPBACK>\\n" 1 1 1 1 1',
    "docker": "echo {}",
    "nft": ":",
    "iptables-save": ":",
    "ip6tables-save": ":",
}
# facts.sh uses `command` only as `command -v`.
NO_DOCKER = 'command() { case "$2" in docker) return 1 ;; esac; type "$2" >/dev/null 2>&1; }'


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, body in PROGRAMS.items():
        _install(folder / name, body)
    return folder


def _install(program: Path, body: str) -> None:
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)


def emitted_sections(programs: Path, docker: str | None, facts: str = TEMPLATES.facts) -> list[str]:
    """The sections that the script writes for that state of docker.service, in order."""
    _install(programs / "systemctl", f"printf 'LoadState=loaded\\nActiveState={docker}\\n\\n'")
    script = facts_script(TEMPLATES, ()).replace(TEMPLATES.facts, facts)
    return sections(run_shell(f"{NO_DOCKER * (docker is None)}\n{script}", path=f"{programs}:/usr/bin:/bin"))


def sections(answer: str) -> list[str]:
    return re.findall(r"(?m)^@(\S+) \d+$", answer)


def text(name: str) -> str:
    return (DATA / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "docker"), RECORDINGS.items())
def test_a_recording_has_exactly_the_sections_of_the_script(name: str, docker: str, programs: Path) -> None:
    assert text(name).startswith("@"), "a recording must not be edited"
    assert sections(text(name)) == emitted_sections(programs, docker), RECORD_ANEW


@pytest.mark.parametrize(("name", "docker"), CRAFTED.items())
def test_a_crafted_output_has_exactly_the_sections_of_the_script(name: str, docker: str | None, programs: Path) -> None:
    asked = {"ip_version"} if name == "busybox_ip" else set()
    assert re.match(rf"# crafted over ({'|'.join((*RECORDINGS, *CRAFTED))}): ", text(name))
    assert set(sections(recording(name))) == {*emitted_sections(programs, docker), *asked}


def test_every_output_is_recorded_or_crafted() -> None:
    assert {file.stem for file in DATA.iterdir()} == {*RECORDINGS, *CRAFTED}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  run_section end true\n", "  run_section news true\n  run_section end true\n"),
        ("  run_section ip_forward read_sysctl /proc/sys/net/ipv4/ip_forward\n", ""),
        ('print_sections("links ip_rules iptables_rules")', 'print_sections("links iptables_rules")'),
    ],
)
def test_a_changed_script_is_detected(old: str, new: str, programs: Path) -> None:
    assert TEMPLATES.facts.count(old) == 1
    assert emitted_sections(programs, "active", TEMPLATES.facts.replace(old, new)) != emitted_sections(
        programs, "active"
    )
