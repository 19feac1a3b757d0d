"""A lab that is up, for tests and commands to work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import faults, host, host_exec, network
from dockmesh.lab.image import Image
from dockmesh.lab.inventory import folder
from dockmesh.lab.process import WITHIN_S, run
from dockmesh.lab.topology import LabHost, Topology


@dataclass(frozen=True, slots=True)
class Lab:
    """The hosts by name: run commands on them, break them, mend them."""

    topology: Topology
    images: dict[str, str]

    @property
    def inventory(self) -> Path:
        """The lab's mesh.yml."""
        return folder(self.topology.name) / "mesh.yml"

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        text: str = "",
        check: bool = False,
        within_s: float = WITHIN_S,
    ) -> CompletedProcess[str]:
        """Run a command as root on the host, past SSH and network. With `check`, a failure is a LabError."""
        return host_exec.run(self.topology.host(name).handle, argv, text=text, check=check, within_s=within_s)

    def run_controller(self, argv: Sequence[str], *, text: str = "", check: bool = False) -> CompletedProcess[str]:
        """Run a command of this machine where the controller is: on the hosts' switch."""
        return run(network.inside(self.topology.fabric, *argv), text=text, check=check)

    def inject(self, kind: str, name: str) -> None:
        """Do one of `faults.KINDS` to the host, which must be running."""
        target = self.topology.host(name)
        if not host_exec.is_running(target.handle):
            raise LabError(
                f"{name} is not running; `dockmesh lab up --name {self.topology.name}` starts it",
                code=LabCode.NOT_RUNNING,
            )
        faults.inject(kind, self.topology.fabric, target)

    def faults(self, name: str) -> tuple[str, ...]:
        """The faults the host suffers that last until healed."""
        return faults.present(self.topology.fabric, self.topology.host(name))

    def partition(self, name: str) -> None:
        """Cut the host off at the switch; it keeps its addresses and routes."""
        self.inject("partition", name)

    def pause(self, name: str) -> None:
        """Freeze all of the host: nothing on it answers, no connection breaks."""
        self.inject("pause", name)

    def heal(self, name: str) -> None:
        """Undo every lasting fault of the host."""
        self.inject("heal", name)

    def is_running(self, name: str) -> bool:
        """Whether the host has booted and not died."""
        return host_exec.is_running(self.topology.host(name).handle)

    def image(self, each: LabHost) -> Image:
        """What is under the host."""
        return Image(each.release, Path(self.images[each.release]))

    def machine(self, each: LabHost) -> host.Machine:
        """What boots as the host."""
        home = folder(self.topology.name) / each.name
        network_option = f"--network-namespace-path={network.NAMESPACES / each.handle}"
        below = self.image(each)
        layers = (below.varied, below.root) if each.varied else (below.root,)
        return host.Machine(each.handle, each.name, layers, home, network_option)
