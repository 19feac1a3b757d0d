"""The functions of facts.sh and probe.sh that list objects of Docker and then inspect them."""

from datetime import UTC, datetime, timedelta

import pytest
from builders import run_shell

from dockmesh.core.host_output import Section, split
from dockmesh.pipeline import TEMPLATES

# `inspect` prints the objects that exist, and exits with 1 if one is missing, as Docker does.
DOCKER = """
docker() {
  case "$*" in
    'ps '* | *' ls -q'*) printf '%s\\n' $LISTED ;;
    *inspect*) printf '%s\\n' $PRESENT; [ -z "$MESSAGE" ] || { echo "$MESSAGE" >&2; return 1; } ;;
  esac
}
"""
GONE = (
    "Error: No such object: b",
    "Error: No such network: b",
    "Error response from daemon: network b not found",
    "error: no such object: b",
)


def listing(function: str, *, listed: str = "a b", present: str = "a", message: str = "") -> Section:
    """The section of a function of facts.sh whose `docker inspect` prints `message` as error."""
    setting = f"LISTED='{listed}' PRESENT='{present}' MESSAGE='{message}'"
    run = f"run_section found {function}\nrun_section end true\n"
    return split(run_shell(f"{TEMPLATES.output}\n{TEMPLATES.facts}\n{DOCKER}{setting}\n{run}", path="/usr/bin:/bin"))[
        "found"
    ]


@pytest.mark.parametrize("function", ["docker_containers", "docker_networks"])
@pytest.mark.parametrize("message", GONE)
def test_an_object_removed_after_it_was_listed_is_no_error(function: str, message: str) -> None:
    assert listing(function, message=message) == Section(0, "a")


@pytest.mark.parametrize("function", ["docker_containers", "docker_networks"])
def test_a_warning_of_docker_is_no_error(function: str) -> None:
    warning = "WARNING: Error loading config file: /root/.docker/config.json: EOF"
    assert listing(function, message=f"{warning}\n{GONE[0]}") == Section(0, "a")


@pytest.mark.parametrize("function", ["docker_containers", "docker_networks"])
def test_every_listed_object_may_be_gone(function: str) -> None:
    assert listing(function, present="", message=f"{GONE[0]}\n{GONE[2]}") == Section(0, "")
    assert listing(function, listed="", message="inspect needs an argument") == Section(0, "")


@pytest.mark.parametrize("function", ["docker_containers", "docker_networks"])
def test_another_error_of_inspect_stays_an_error(function: str) -> None:
    found = listing(function, message=f"{GONE[0]}\nCannot connect to the Docker daemon")
    assert found.status == 1
    assert "Cannot connect" in found.text
    assert "No such object" not in found.text


def found_container(*rows: str) -> str:
    """The container that probe.sh chooses among those that `docker inspect` prints, newest first."""
    present = " ".join(rows)
    setting = f"LISTED='a b c' PRESENT='{present}' MESSAGE='{GONE[0]}'"
    script = f"{TEMPLATES.output}\n{TEMPLATES.probe}\n{DOCKER}{setting}\nfind_container || echo none\n"
    return run_shell(script, path="/usr/bin:/bin").strip()


def test_probes_use_the_oldest_container_on_docker0() -> None:
    """A newer one may be gone before the probes arrive."""
    rows = ("0/2026-03-01T00:00:00.9Z/10.0.0.4//7", "0/2025-03-01T00:00:00Z/10.0.0.3//6", "0/2024-03-01T00:00:00Z//0")
    assert found_container(*rows) == "10.0.0.3 - 6"
    assert found_container("0/2025-03-01T00:00:00Z/10.0.0.3/fd00::3/6") == "10.0.0.3 fd00::3 6"


def test_a_container_that_docker_restarts_again_and_again_is_the_last_choice() -> None:
    rows = ("12/2024-03-01T00:00:00Z/10.0.0.2//5", "2/2025-03-01T00:00:00Z/10.0.0.3//6")
    assert found_container(*rows) == "10.0.0.3 - 6"


def test_a_container_that_is_seconds_old_is_no_target() -> None:
    now = datetime.now(UTC)
    rows = [f"0/{(now - timedelta(seconds=age)).isoformat()}/10.0.0.{age}//{age}" for age in (2, 40)]
    assert found_container(rows[0]) == "none"
    assert found_container(*rows) == "10.0.0.40 - 40"
