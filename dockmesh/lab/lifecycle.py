"""Start, stop and look-up of labs. A caller may be killed at any point: the next call removes what it left."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import cgroup, host, host_exec, image, network, preflight, startup, state
from dockmesh.lab.inventory import folder, inventory, known_hosts
from dockmesh.lab.running import Lab
from dockmesh.lab.ssh_keys import create_key
from dockmesh.lab.topology import RELEASES, LabHost, Topology, check_name, fabric, is_handle, topology

# Called with a host, lab or release and a progress text, which ends with an ellipsis while the work goes on.
Observer = Callable[[str, str], None]

# Releases of the tests with varied hosts: on one Docker does not configure firewalld, on the other it does.
VARIED = ("trixie", "forky")
_MAX_PARALLEL = 32


def _silent(_subject: str, _text: str) -> None:
    pass


def up(
    name: str = "demo",
    hosts: int = 3,
    releases: Sequence[str] = RELEASES,
    on_progress: Observer = _silent,
    *,
    light: bool = False,
    varied: bool = False,
    disk: bool = False,
) -> Lab:
    """Start a lab, or return it if it is up; boots dead hosts and rebuilds an incomplete lab.

    Raises:
        LabError: a lab of that name with other hosts is up, or a host does not start.
    """
    preflight.check()
    wanted = topology(name, hosts, tuple(releases), light=light, varied=varied, disk=disk)
    with state.locked(name, partial(on_progress, name, "waiting for another command on this lab …")):
        lab = _existing(wanted)
        if lab:
            _start_dead_hosts(lab, on_progress)
            return lab
        _clear(name)
        try:
            return _build(wanted, on_progress)
        except BaseException:
            _stop(name)
            raise


def build_images(
    releases: Sequence[str] = RELEASES, on_progress: Observer = _silent, *, varied: Sequence[str] = ()
) -> None:
    """Build the missing images of these releases in parallel; those of `varied` with the layer of further packages."""
    preflight.check()
    cancelled = Event()
    builds = [
        partial(build, release, partial(on_progress, release), cancelled)
        for release in dict.fromkeys((*releases, *varied))
        for build in (image.build_varied if release in varied else image.build,)
        if not image.is_built(release, varied=release in varied)
    ]
    _in_parallel(builds, cancel=cancelled.set)


def down(name: str = "demo") -> bool:
    """Stop the lab and remove all of it, by its name alone; whether there was anything to remove."""
    check_name(name)
    preflight.check()
    with state.locked(name):
        existed = folder(name).exists() or bool(_handles(name)) or network.exists(fabric(name))
        _clear(name)
        image.sweep()
        state.forget(name)
    return existed


def find(name: str = "demo") -> Lab:
    """Find a running lab; LabError if there is none of that name."""
    check_name(name)
    preflight.check()
    saved = state.State.read(name)
    if saved is None or not saved.complete:
        raise LabError(f"lab {name}: not up. Fix: dockmesh lab up --name {name}", code=LabCode.NOT_UP)
    return Lab(saved.topology, saved.images)


def reboot(name: str, host_name: str, on_progress: Observer = _silent, *, bare: bool = False) -> None:
    """Shut the host down in order and boot it again, with the same files and a new network.

    With `bare`, its network cards have no addresses, as on a physical machine: its own software configures them.
    """
    lab = find(name)
    each = lab.topology.host(host_name)
    with state.locked(name):
        on_progress(each.name, "shutting down …")
        host.shut_down(each.handle)
        boot(lab, each, on_progress, bare=bare)


def boot(lab: Lab, each: LabHost, on_progress: Observer = _silent, *, bare: bool = False) -> None:
    """Boot a host that is down, on a new network. The caller must hold the lab's lock, or be its only user."""
    network.create_host(lab.topology.fabric, each, bare=bare)
    started = time.monotonic()
    startup.boot(lab, each, partial(on_progress, each.name))
    on_progress(each.name, f"up after {time.monotonic() - started:.1f} s")


def _existing(wanted: Topology) -> Lab | None:
    """The lab if it is complete; None if it does not exist or only remains of it are left."""
    saved = state.State.read(wanted.name)
    if saved is None or not saved.complete or not network.exists(wanted.fabric):
        return None
    if saved.topology != wanted:
        hosts = f"{saved.hosts} {'light ' * saved.light}hosts ({', '.join(saved.topology.releases)})"
        raise LabError(
            f"lab {wanted.name}: already up with {hosts}. "
            f"Fix: run 'dockmesh lab down --name {wanted.name}' first, or choose another name",
            code=LabCode.ALREADY_UP,
        )
    return Lab(saved.topology, saved.images)


def _start_dead_hosts(lab: Lab, on_progress: Observer) -> None:
    dead = [each for each in lab.topology.hosts if not host_exec.is_running(each.handle)]
    if dead:
        _start(lab, dead, on_progress)
    else:
        on_progress(lab.topology.name, "already up")


def _build(wanted: Topology, on_progress: Observer) -> Lab:
    changed = preflight.make_room()
    if changed:
        on_progress(wanted.name, changed)
    images = {release: str(image.image(release).folder) for release in wanted.releases}
    kinds = {kind: any(getattr(each, kind) for each in wanted.hosts) for kind in ("light", "varied", "disk")}
    host_releases = tuple(each.release for each in wanted.hosts)
    requested = state.State(wanted.name, len(wanted.hosts), host_releases, images, **kinds)
    requested.write()
    build_images(wanted.releases, on_progress, varied=wanted.releases if kinds["varied"] else ())
    lab = Lab(wanted, images)
    _lay_out(lab, folder(wanted.name))
    network.create_fabric(wanted.fabric)
    _start(lab, wanted.hosts, on_progress)
    replace(requested, complete=True).write()
    return lab


def _lay_out(lab: Lab, home: Path) -> None:
    wanted = lab.topology
    key = create_key(home / "id_ed25519", f"dockmesh lab {wanted.name}")
    public_keys = {each.name: startup.lay_out(lab, each, key) for each in wanted.hosts}
    (home / "known_hosts").write_text(known_hosts(wanted, public_keys))
    (home / "mesh.yml").write_text(inventory(wanted))
    (home / "dual.yml").write_text(inventory(wanted, ipv6=True))


def _start(lab: Lab, hosts: Sequence[LabHost], on_progress: Observer) -> None:
    for each in hosts:
        network.create_host(lab.topology.fabric, each)
    starts = [partial(startup.start, lab, each, partial(on_progress, each.name)) for each in hosts]
    _in_parallel(starts, cancel=lambda: _kill(each.handle for each in hosts))


def _in_parallel(tasks: Sequence[Callable[[], object]], cancel: Callable[[], None]) -> None:
    """Run the tasks in parallel. After a failure or an interrupt, `cancel` makes all others fail."""
    with ThreadPoolExecutor(max_workers=_MAX_PARALLEL) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            cancel()
            raise


def _handles(name: str) -> tuple[str, ...]:
    """Handles of all hosts of the lab that this machine still has, by name, so that no state file is needed."""
    present = {*cgroup.names(), *network.names()}
    return tuple(sorted(handle for handle in present if is_handle(name, handle)))


def _kill(handles: Iterable[str]) -> None:
    for handle in handles:
        cgroup.kill(handle)


def _stop(name: str) -> None:
    handles = _handles(name)
    _kill(handles)
    for handle in handles:
        cgroup.remove(handle)
        network.delete(handle)
    network.delete(fabric(name))


def _clear(name: str) -> None:
    _stop(name)
    host.throw_away(folder(name))
