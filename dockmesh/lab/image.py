"""Root file systems: one per Debian release and recipe, built once, shared by every host of every lab."""

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
Say = Callable[[str], None]

_POLL_S = 0.2
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Image:
    """A release's root file system and what its Docker keeps."""

    release: str
    folder: Path

    @property
    def root(self) -> Path:
        """What is below every host's own files."""
        return self.folder / "root"

    @property
    def varied(self) -> Path:
        """What some hosts have above the root: programs that other hosts do without."""
        return self.folder / f"varied-{layer_fingerprint(self.release)}"

    @property
    def docker(self) -> Path:
        """What a host's /var/lib/docker starts as."""
        return self.folder / "docker"


def image(release: str) -> Image:
    """The release's image as this version of the recipe makes it, built or not."""
    recipe = "\n".join(
        (*packages(release), *((_HERE / name).read_text() for name in ("configure_image.sh", "import_busybox.sh")))
    )
    return Image(release, CACHE / f"{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}")


def is_built(release: str, *, varied: bool = False) -> bool:
    """Whether the image is there. It comes about whole, by a rename."""
    wanted = image(release)
    return (wanted.varied if varied else wanted.folder).is_dir()


def build(release: str, say: Say, given_up: Event) -> None:
    """Build the release's image if need be. Two builders of one release take turns. `given_up` ends it."""
    wanted = image(release)
    say("waiting for another build of this image …")
    _in_turn(release, wanted.folder, partial(_build, wanted, say, given_up), given_up)


def build_varied(release: str, say: Say, given_up: Event) -> None:
    """The same, with what hosts have that are not all alike."""
    build(release, say, given_up)
    wanted = image(release)
    _in_turn(release, wanted.varied, partial(_build_varied, wanted, say, given_up), given_up)


def sweep() -> None:
    """Clear away builds that a killed `up` left running or half done."""
    for lock in CACHE.glob("*.lock"):
        with _turn(lock.stem) as mine:
            if mine:
                _clear(lock.stem)


def _in_turn(release: str, folder: Path, make: Callable[[], None], given_up: Event) -> None:
    """Have `make` make the folder, unless another builder does; `given_up` ends the wait."""
    while not (given_up.is_set() or folder.is_dir()):
        with _turn(release) as mine:
            if mine and not folder.is_dir():
                make()
        given_up.wait(0 if mine else _POLL_S)


def _build_varied(wanted: Image, say: Say, given_up: Event) -> None:
    say("building the image: other packages …")
    unfinished = _partial(wanted.release)
    _clear(wanted.release)
    add_layer(wanted.release, wanted.root, unfinished, _group(wanted.release), given_up)
    (unfinished / "upper").rename(wanted.varied)
    _clear(wanted.release)


def _build(wanted: Image, say: Say, given_up: Event) -> None:
    _clear(wanted.release)
    unfinished, group = _partial(wanted.release), _group(wanted.release)
    say("building the image: debootstrap, once per release …")
    try:
        bootstrap(wanted.release, unfinished, group, given_up)
    except LabError as error:
        if given_up.is_set() or isinstance(error, UnknownReleaseError):
            raise
        say(f"once more, after: {str(error).splitlines()[-1]} …")
        host.throw_away(unfinished / "root")
        bootstrap(wanted.release, unfinished, group, given_up)
    say("building the image: accounts, units …")
    run(("chroot", str(unfinished / "root"), "sh", "-s"), text=(_HERE / "configure_image.sh").read_text())
    say("building the image: the container image …")
    _import_busybox(wanted.release, unfinished)
    shutil.rmtree(unfinished / "debs")
    unfinished.rename(wanted.folder)
    say("image built")


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
def _turn(release: str) -> Iterator[bool]:
    """Hold the release's lock while inside, if it can be had; whether it could."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{release}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
