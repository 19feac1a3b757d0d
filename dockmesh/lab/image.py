"""Images of Debian releases: root file systems, built once per release and recipe, shared by all hosts and labs."""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from dockmesh.errors import LabError
from dockmesh.lab import cgroup, host, host_exec
from dockmesh.lab.bootstrap import UnknownReleaseError, add_layer, bootstrap, layer_fingerprint, packages
from dockmesh.lab.process import run

CACHE = Path("/var/cache/dockmesh/lab")
Report = Callable[[str], None]

_POLL_S = 0.2
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Image:
    """A release's root file system with Docker's data directory."""

    release: str
    folder: Path

    @property
    def root(self) -> Path:
        """The read-only root below each host's own files."""
        return self.folder / "root"

    @property
    def varied(self) -> Path:
        """The layer over the root with further packages, for varied hosts."""
        return self.folder / f"varied-{layer_fingerprint(self.release)}"

    @property
    def docker(self) -> Path:
        """Initial content of a host's /var/lib/docker."""
        return self.folder / "docker"


def image(release: str) -> Image:
    """The release's image for this version of the recipe, whether it is built or not."""
    recipe = "\n".join(
        (*packages(release), *((_HERE / name).read_text() for name in ("configure_image.sh", "import_busybox.sh")))
    )
    return Image(release, CACHE / f"{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}")


def is_built(release: str, *, varied: bool = False) -> bool:
    """Whether the image is built. A rename publishes it atomically."""
    wanted = image(release)
    return (wanted.varied if varied else wanted.folder).is_dir()


def build(release: str, report: Report, cancelled: Event) -> None:
    """Build the release's image if it is missing, one builder at a time; `cancelled` ends the build."""
    wanted = image(release)
    report("waiting for another build of this image …")
    _in_turn(release, wanted.folder, partial(_build, wanted, report, cancelled), cancelled)


def build_varied(release: str, report: Report, cancelled: Event) -> None:
    """Build the release's image with its layer of further packages if either is missing."""
    build(release, report, cancelled)
    wanted = image(release)
    _in_turn(release, wanted.varied, partial(_build_varied, wanted, report, cancelled), cancelled)


def sweep() -> None:
    """Remove running and partial builds of a killed `lab up`."""
    for lock in CACHE.glob("*.lock"):
        with _build_lock(lock.stem) as acquired:
            if acquired:
                _clear(lock.stem)


def _in_turn(release: str, folder: Path, make: Callable[[], None], cancelled: Event) -> None:
    """Call `make` to create the folder, or wait until another builder has created it; `cancelled` ends the wait."""
    while not (cancelled.is_set() or folder.is_dir()):
        with _build_lock(release) as acquired:
            if acquired and not folder.is_dir():
                make()
        cancelled.wait(0 if acquired else _POLL_S)


def _build_varied(wanted: Image, report: Report, cancelled: Event) -> None:
    report("building the image: other packages …")
    unfinished = _partial(wanted.release)
    _clear(wanted.release)
    add_layer(wanted.release, wanted.root, unfinished, _group(wanted.release), cancelled)
    (unfinished / "upper").rename(wanted.varied)
    _clear(wanted.release)


def _build(wanted: Image, report: Report, cancelled: Event) -> None:
    _clear(wanted.release)
    unfinished, group = _partial(wanted.release), _group(wanted.release)
    report("building the image: debootstrap, once per release …")
    try:
        bootstrap(wanted.release, unfinished, group, cancelled)
    except LabError as error:
        if cancelled.is_set() or isinstance(error, UnknownReleaseError):
            raise
        report(f"retrying after an error: {str(error).splitlines()[-1]} …")
        host.throw_away(unfinished / "root")
        bootstrap(wanted.release, unfinished, group, cancelled)
    report("building the image: accounts, units …")
    run(("chroot", str(unfinished / "root"), "sh", "-s"), text=(_HERE / "configure_image.sh").read_text())
    report("building the image: the container image …")
    _import_busybox(wanted.release, unfinished)
    shutil.rmtree(unfinished / "debs")
    unfinished.rename(wanted.folder)
    report("image built")


def _import_busybox(release: str, unfinished: Path) -> None:
    folder = unfinished / "bake"
    machine = host.Machine(_group(release), f"bake-{release}", (unfinished / "root",), folder, "--private-network")
    host.lay_out(machine)
    host.boot(machine)
    try:
        host.wait_booted(machine)
        host_exec.run(machine.handle, ("sh", "-s"), text=(_HERE / "import_busybox.sh").read_text(), check=True)
    finally:
        cgroup.remove(machine.handle)
    (folder / "docker").rename(unfinished / "docker")
    host.throw_away(folder)


def _clear(release: str) -> None:
    cgroup.remove(_group(release))
    host.throw_away(_partial(release))


def _group(release: str) -> str:
    return f"dockmesh-image-{release}"


def _partial(release: str) -> Path:
    return CACHE / f"{release}.partial"


@contextmanager
def _build_lock(release: str) -> Iterator[bool]:
    """Try to hold the release's lock inside the block; yields whether it is held."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{release}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
