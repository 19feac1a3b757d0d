"""The first N hosts of a lab: the input files of the tools, the expected routes, the reset between rounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dockmesh.core.facts.script import facts_script
from dockmesh.core.inventory import parse
from dockmesh.core.names import ROUTE_METRIC, ROUTE_PROTOCOL
from dockmesh.core.peers import peers
from dockmesh.lab.network import NIC
from dockmesh.lab.process import run
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import LabHost
from dockmesh.pipeline import TEMPLATES
from tests.bench.cold import used_s


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts of a round.

    `folder` has mesh.yml, fewer.yml (without the last host), read/ADDRESS, batch/ADDRESS and addresses.
    """

    lab: Lab
    hosts: tuple[LabHost, ...]
    folder: Path

    @property
    def access(self) -> Path:
        """Directory of the lab's key and known_hosts."""
        return self.lab.inventory.parent

    @property
    def addresses(self) -> tuple[str, ...]:
        """SSH addresses of the hosts."""
        return tuple(str(each.underlay.ip) for each in self.hosts)

    def routes(self, host: LabHost) -> tuple[str, ...]:
        """The routes that the host must have after the job, as `ip` prints them."""
        peers = (each for each in self.hosts if each != host)
        return tuple(f"{each.prefix} via {each.underlay.ip} dev {NIC}" for each in peers)

    def host_cpu_s(self) -> float:
        """CPU time of all hosts so far."""
        return sum(used_s(each.handle) for each in self.hosts)

    def flush(self) -> None:
        """Remove the owned routes from every host."""
        for each in self.hosts:
            run(("ip", "-n", each.handle, "route", "flush", "proto", str(ROUTE_PROTOCOL)))

    def compare(self, tool: str, *, joined: bool) -> None:
        """Check that the tool has done the same job.

        Raises:
            SystemExit: the routes of a host are not the expected ones.
        """
        for each in self.hosts:
            shown = run(("ip", "-n", each.handle, "route", "show", "proto", str(ROUTE_PROTOCOL))).stdout.splitlines()
            wanted = {f"{words} metric {ROUTE_METRIC}" for words in self.routes(each)} if joined else set()
            if {" ".join(line.split()) for line in shown} != wanted:
                raise SystemExit(f"{tool}: {each.name} has {len(shown)} routes, not the {len(wanted)} of the job")


@contextmanager
def fleet(lab: Lab, hosts: int) -> Iterator[Fleet]:
    """The first hosts of the lab, with their files inside the block."""
    with TemporaryDirectory(prefix="dockmesh-bench-") as folder:
        made = Fleet(lab, lab.topology.hosts[:hosts], Path(folder))
        _write(made)
        yield made


def _write(made: Fleet) -> None:
    lines = made.lab.inventory.read_text(encoding="utf-8").splitlines(keepends=True)
    # No `netns`: every tool starts in the namespace.
    head = [line for line in lines[: lines.index("hosts:\n") + 1] if not line.startswith("  netns:")]
    own = [line for line in lines if line.split(":")[0].strip() in {each.name for each in made.hosts}]
    (made.folder / "mesh.yml").write_text("".join((*head, *own)))
    (made.folder / "fewer.yml").write_text("".join((*head, *own[:-1])))
    (made.folder / "addresses").write_text("".join(f"{each}\n" for each in made.addresses))
    for name in ("read", "batch", "facts"):
        (made.folder / name).mkdir()
    known = parse("".join((*head, *own)), file="mesh.yml")
    for host, each in zip(known.hosts, made.hosts, strict=True):
        script = facts_script(TEMPLATES, [peer.underlay for peer in peers(known, host)])
        (made.folder / "read" / str(each.underlay.ip)).write_text(script)
        (made.folder / "batch" / str(each.underlay.ip)).write_text("".join(batch(made, each)))


def batch(made: Fleet, host: LabHost) -> Iterator[str]:
    """The host's routes as lines for `ip -batch`."""
    return (f"route replace {words} proto {ROUTE_PROTOCOL} metric {ROUTE_METRIC}\n" for words in made.routes(host))
