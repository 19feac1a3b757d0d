"""Containers and networks that come and go all the time disturb no command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mesh
import pytest
from accidents import eventually, output_of, temporarily
from mesh import Mesh

from dockmesh.lab.running import Lab

GENERATIONS = ("host1", "host2", "host3")
APPLY = ("apply", "--yes", "--json", "--serial", "100%")
UNIT = "churn"
COUNT = "/run/churn.count"
# Five workers at one container per second: ten starts and stops per second, on a machine that is fast enough.
WORKERS = 5
LONGEST_S = 300
CONTAINERS = "sleep 1 & docker run --rm --label churn busybox sleep 0.3; status=$?; wait"
NETWORKS = "docker network create churn$worker && docker network rm churn$worker; status=$?"
# Docker may still create a container whose client has ended. The others took the address of web when Docker restarted.
REMOVE = """sleep 1
for try in $(seq 20); do
  ids=$(docker ps -aq --filter label=churn) networks=$(docker network ls -qf name=churn)
  [ -n "$ids$networks" ] || break
  [ -z "$ids" ] || docker rm -f $ids
  [ -z "$networks" ] || docker network rm $networks
  sleep 0.5
done
docker restart --time 0 web"""


@contextmanager
def churn(lab: Lab, host: str, command: str, *, workers: int) -> Iterator[None]:
    """Run the command in endless loops on the host. They end with the block."""
    loop = f"while :; do {command}; [ $status = 0 ] && echo >>{COUNT} || sleep 0.2; done"
    script = f"for worker in $(seq {workers}); do ({loop}) & done; wait"
    start = f"systemd-run --quiet --unit={UNIT} --property=RuntimeMaxSec={LONGEST_S} sh -c '{script}'"
    stop = [f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}", REMOVE, f"rm -f {COUNT}"]
    with temporarily(lab, host, do=[f": >{COUNT}; {start}"], undo=stop):
        assert eventually(lab, host, f"[ $(wc -l <{COUNT}) -ge {workers} ] && echo yes", "yes")
        yield


def count(lab: Lab, host: str) -> int:
    return int(output_of(lab, host, "wc", "-l", COUNT).split()[0])


@pytest.mark.parametrize("host", GENERATIONS)
def test_containers_that_come_and_go_disturb_no_command(host: str, fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    two = mesh.write_inventory(lab, tmp_path, {host: {}, "host4": {}})
    with churn(lab, host, CONTAINERS, workers=WORKERS):
        assert two.dockmesh("plan").status == 2
        applied = two.dockmesh(*APPLY)
        assert [each["status"] for each in applied.document["outcomes"]] == ["confirmed"] * 2, applied
        before = count(lab, host)
        for _ in range(2):
            assert two.dockmesh("plan").status == 0
            assert two.dockmesh("status").status == 0
        assert count(lab, host) > before
        rolled_back = two.dockmesh("rollback", "--yes", "--json")
        assert [each["status"] for each in rolled_back.document["outcomes"]] == ["confirmed"] * 2, rolled_back


@pytest.mark.parametrize("host", GENERATIONS)
def test_networks_that_come_and_go_disturb_no_plan(host: str, fresh: Mesh, lab: Lab, tmp_path: Path) -> None:
    del fresh
    one = mesh.write_inventory(lab, tmp_path, {host: {}})
    # Docker 20.10 doubles a rule of its own if it creates two networks at once.
    with churn(lab, host, NETWORKS, workers=1):
        for _ in range(3):
            document = one.dockmesh("plan", "--json").document
            assert [each["error"] for each in document["hosts"]] == [None], document
