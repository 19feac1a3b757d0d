"""Labs come up, go down and are found again. A caller may be killed at any point: the next one clears up."""

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

# Hears (host, lab or release; what of it). More is to come where the text ends in an ellipsis.
Observer = Callable[[str, str], None]

# What the tests of hosts that are not all alike run on: a Docker that has told firewalld nothing, and one that has.
VARIED = ("trixie", "forky")
_MOST_AT_ONCE = 32


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
) -> Lab:
    """The lab with every host running: left alone if so, its dead hosts booted, or all of it made anew."""
    preflight.check()
    wanted = topology(name, hosts, tuple(releases), light=light, varied=varied)
    with state.locked(name, partial(on_progress, name, "waiting for another command on this lab …")):
        lab = _standing(wanted)
        if lab:
            _complete(lab, on_progress)
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
    """Build what hosts of these releases boot from, side by side, where it is not there yet; `varied` as well."""
    preflight.check()
    given_up = Event()
    builds = [
        partial(build, release, partial(on_progress, release), given_up)
        for release in dict.fromkeys((*releases, *varied))
        for build in (image.build_varied if release in varied else image.build,)
        if not image.is_built(release, varied=release in varied)
    ]
    _at_once(builds, give_up=given_up.set)


def down(name: str = "demo") -> bool:
    """End the lab and remove all of it; whether there was anything to end. Needs nothing but the name."""
    check_name(name)
    preflight.check()
    with state.locked(name):
        there = folder(name).exists() or bool(_handles(name)) or network.exists(fabric(name))
        _clear(name)
        image.sweep()
        state.forget(name)
    return there


def find(name: str = "demo") -> Lab:
    """A lab that is up; LabError where there is none."""
    check_name(name)
    preflight.check()
    found = state.State.read(name)
    if found is None or not found.complete:
        raise LabError(f"lab {name} is not up: `dockmesh lab up --name {name}` starts it", code=LabCode.NOT_UP)
    return Lab(found.topology, found.images)


def reboot(name: str, host_name: str, on_progress: Observer = _silent, *, bare: bool = False) -> None:
    """Shut the host down in order and boot it again: its files stay, its network begins anew.

    `bare`: it finds its cards as on a machine, without addresses, and gives them their own by what it has installed.
    """
    lab = find(name)
    each = lab.topology.host(host_name)
    with state.locked(name):
        on_progress(each.name, "shutting down …")
        host.shut_down(each.handle)
        network.create_host(lab.topology.fabric, each, bare=bare)
        begun = time.monotonic()
        startup.boot(lab, each, partial(on_progress, each.name))
        on_progress(each.name, f"up after {time.monotonic() - begun:.1f} s")


def _standing(wanted: Topology) -> Lab | None:
    """The lab as it stands, if that is more than remains to be cleared away."""
    found = state.State.read(wanted.name)
    if found is None or not found.complete or not network.exists(wanted.fabric):
        return None
    if found.topology != wanted:
        there = f"{found.hosts} {'light ' * found.light}hosts ({', '.join(found.topology.releases)})"
        raise LabError(
            f"lab {wanted.name} is up with {there}: "
            f"`dockmesh lab down --name {wanted.name}` first, or choose another name",
            code=LabCode.ALREADY_UP,
        )
    return Lab(found.topology, found.images)


def _complete(lab: Lab, on_progress: Observer) -> None:
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
    light, varied = (any(getattr(each, kind) for each in wanted.hosts) for kind in ("light", "varied"))
    each_one = tuple(each.release for each in wanted.hosts)
    asked = state.State(wanted.name, len(wanted.hosts), each_one, images, light=light, varied=varied)
    asked.write()
    build_images(wanted.releases, on_progress, varied=wanted.releases if varied else ())
    lab = Lab(wanted, images)
    _lay_out(lab, folder(wanted.name))
    network.create_fabric(wanted.fabric)
    _start(lab, wanted.hosts, on_progress)
    replace(asked, complete=True).write()
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
    _at_once(starts, give_up=lambda: _kill(each.handle for each in hosts))


def _at_once(tasks: Sequence[Callable[[], object]], give_up: Callable[[], None]) -> None:
    """Run the tasks side by side. The first failure or a Ctrl-C ends them all: `give_up` makes them fail."""
    with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            give_up()
            raise


def _handles(name: str) -> tuple[str, ...]:
    """Whatever of the lab's hosts this machine still has, by name: no file needs to tell."""
    there = {*cgroup.names(), *network.names()}
    return tuple(sorted(handle for handle in there if is_handle(name, handle)))


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
