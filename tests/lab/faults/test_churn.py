"""Containers and networks that come and go all the time disturb no command."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import lt

from accidents import eventually, output_of, temporarily
from mesh import Mesh

from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
APPLY = ("apply", "--yes", "--json", "--serial", "100%")
UNIT = "churn"
COUNT = "/run/churn.count"
# Two workers per host at one container per second: twelve starts and stops per second in the mesh, on a machine that is
# fast enough.
WORKERS = 2
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
def churn_on_all(lab: Lab, command: str, *, workers: int) -> Iterator[None]:
    """Churn on a host of each generation of Docker."""
    with ExitStack() as stack:
        for host in HOSTS:
            stack.enter_context(churn(lab, host, command, workers=workers))
        yield


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


def counts(lab: Lab) -> list[int]:
    return [int(output_of(lab, host, "wc", "-l", COUNT).split()[0]) for host in HOSTS]


def test_containers_that_come_and_go_disturb_no_command(fresh: Mesh, lab: Lab) -> None:
    with churn_on_all(lab, CONTAINERS, workers=WORKERS):
        assert fresh.dockmesh("plan").status == 2
        applied = fresh.dockmesh(*APPLY)
        assert [each["status"] for each in applied.document["outcomes"]] == ["confirmed"] * 3, applied
        before = counts(lab)
        for _ in range(2):
            assert fresh.dockmesh("plan").status == 0
            assert fresh.dockmesh("status").status == 0
        assert all(map(lt, before, counts(lab)))
        rolled_back = fresh.dockmesh("rollback", "--yes", "--json", "--serial", "100%")
        assert [each["status"] for each in rolled_back.document["outcomes"]] == ["confirmed"] * 3, rolled_back


def test_networks_that_come_and_go_disturb_no_plan(fresh: Mesh, lab: Lab) -> None:
    # Docker 20.10 doubles a rule of its own if it creates two networks at once.
    with churn_on_all(lab, NETWORKS, workers=1):
        for _ in range(3):
            document = fresh.dockmesh("plan", "--json").document
            assert [each["error"] for each in document["hosts"]] == [None] * 3, document
