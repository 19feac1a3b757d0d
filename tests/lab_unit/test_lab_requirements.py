import os
import subprocess
import sys
from pathlib import Path

import pytest

from dockmesh.errors import LabError
from dockmesh.lab import preflight, requirements
from dockmesh.lab.mirror import choose, codename

TARGETS = """\
|bookworm|vendor|http://vendor.example/apt/
|vendor-bookworm|main|http://vendor.example/cloud/
Vendor|bookworm|main|http://vendor.example/main/
Debian|bookworm-updates|main|http://mirror.example/debian/
Debian|bookworm|main|http://mirror.example/debian/
Debian-Security|bookworm-security|main|http://mirror.example/security/
"""


def test_the_mirror_is_that_of_the_machines_own_release() -> None:
    assert choose(TARGETS, "bookworm") == "http://mirror.example/debian/"


def test_the_mirror_is_found_before_apt_has_fetched_its_lists() -> None:
    assert choose("|trixie|main|http://mirror.example/debian/\n", "trixie") == "http://mirror.example/debian/"


def test_a_machine_of_another_distribution_has_no_mirror() -> None:
    assert choose(TARGETS, "") is None


def test_the_code_name_is_read_with_and_without_quotes() -> None:
    assert codename("ID=debian\nVERSION_CODENAME=bookworm\n") == "bookworm"
    assert codename('VERSION_CODENAME="trixie"\n') == "trixie"
    assert codename("ID=other\n") == ""


def test_missing_packages_are_listed_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "PATH", str(tmp_path))
    assert requirements.missing() == tuple(sorted(set(requirements.PACKAGES.values())))


def test_the_missing_packages_are_printed_for_apt_get(tmp_path: Path) -> None:
    call = (sys.executable, "-W", "error", "-m", "dockmesh.lab.requirements")
    bare = subprocess.run(call, capture_output=True, text=True, check=True, env={"PATH": str(tmp_path)})
    assert set(bare.stdout.split()) <= set(requirements.PACKAGES.values())
    assert "\n" not in bare.stdout


def test_missing_programs_are_an_error_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "missing", lambda: ("debootstrap", "systemd-container"))
    with pytest.raises(LabError) as caught:
        preflight.check()
    assert caught.value.code == "missing-programs"
    assert "apt-get install debootstrap systemd-container" in str(caught.value)


def test_a_call_without_root_is_an_error_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError) as caught:
        preflight.check()
    assert caught.value.code == "needs-root"
    assert "sudo dockmesh lab" in str(caught.value)
