"""Type of a running lab, for tests and commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import faults, host, host_exec, network
from dockmesh.lab.image import Image
from dockmesh.lab.inventory import folder
from dockmesh.lab.process import TIMEOUT_S, run
from dockmesh.lab.topology import LabHost, Topology


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab: commands on its hosts and faults of its hosts, by host name."""

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
        within_s: float = TIMEOUT_S,
    ) -> CompletedProcess[str]:
        """Run a command as root on the host, without SSH and network; with `check`, raise LabError if it fails."""
        return host_exec.run(self.topology.host(name).handle, argv, text=text, check=check, within_s=within_s)

    def run_controller(self, argv: Sequence[str], *, text: str = "", check: bool = False) -> CompletedProcess[str]:
        """Run a command of this machine in the controller's namespace, on the hosts' switch."""
        return run(network.inside(self.topology.fabric, *argv), text=text, check=check)

    def inject(self, kind: str, name: str) -> None:
        """Inject one of `faults.KINDS` into the host, which must be running."""
        target = self.topology.host(name)
        if not host_exec.is_running(target.handle):
            raise LabError(
                f"{name}: not running. Fix: dockmesh lab up --name {self.topology.name}",
                code=LabCode.NOT_RUNNING,
            )
        faults.inject(kind, self.topology.fabric, target)

    def faults(self, name: str) -> tuple[str, ...]:
        """The lasting faults of the host."""
        return faults.present(self.topology.fabric, self.topology.host(name))

    def partition(self, name: str) -> None:
        """Disconnect the host at the switch; it keeps its addresses and routes."""
        self.inject("partition", name)

    def pause(self, name: str) -> None:
        """Freeze the host: nothing on it replies, and no connection breaks."""
        self.inject("pause", name)

    def cut_power(self, name: str) -> None:
        """End the host, which must have a disk, without a chance to write to it."""
        host.cut_power(self.machine(self.topology.host(name)))

    def heal(self, name: str) -> None:
        """Remove all lasting faults of the host."""
        self.inject("heal", name)

    def is_running(self, name: str) -> bool:
        """Whether the host runs."""
        return host_exec.is_running(self.topology.host(name).handle)

    def image(self, each: LabHost) -> Image:
        """The image below the host's own files."""
        return Image(each.release, Path(self.images[each.release]))

    def machine(self, each: LabHost) -> host.Machine:
        """The host as a bootable machine."""
        home = folder(self.topology.name) / each.name
        network_option = f"--network-namespace-path={network.NAMESPACES / each.handle}"
        image = self.image(each)
        layers = (image.varied, image.root) if each.varied else (image.root,)
        return host.Machine(each.handle, each.name, layers, home, network_option, disk=each.disk)
