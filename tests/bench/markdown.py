"""Markdown tables of the figures, for the docs."""

from collections.abc import Iterator, Sequence

from tests.bench.goals import Goal
from tests.bench.rivals import ansible, mesh, openssh, pyinfra
from tests.bench.sample import Samples
from tests.bench.separate_hosts import Figures, figures

# In the order of the rows: each job first with the tools that users know.
_CALLS = {
    (ansible.BATCH, "read"): "Ansible, the reading script",
    (pyinfra.NAME, "read"): "pyinfra, the reading script",
    (openssh.STOCK, "read"): "OpenSSH as installed, the reading script",
    (openssh.FLOOR, "read"): "OpenSSH, tuned, the reading script",
    (mesh.NAME, "read"): "**`plan`**",
    (openssh.FLOOR, "recheck"): "OpenSSH, tuned, the reading script on joined hosts",
    (mesh.NAME, "recheck"): "**`plan`**, nothing to do",
    (ansible.LOOP, "apply"): "Ansible, an item for each route",
    (ansible.BATCH, "apply"): "Ansible, a batch of routes",
    (pyinfra.NAME, "apply"): "pyinfra, a batch of routes",
    (openssh.STOCK, "apply"): "OpenSSH as installed, a batch of routes",
    (openssh.FLOOR, "apply"): "OpenSSH, tuned, a batch of routes",
    (openssh.FACTS, "apply"): "OpenSSH, tuned, the reading script and a batch of routes",
    (mesh.NAME, "apply"): "**`apply`** to fresh hosts",
    (mesh.NAME, "add-one-host"): "**`apply`** of one added host",
    (mesh.NAME, "status"): "**`status`**, all pairs",
    (mesh.NAME, "destroy"): "**`destroy`**",
}
_HEAD = ("shared cores, s", "separate machines, s", "controller's CPU, s", "CPU of a host, s", "round trips")


def markdown(samples: Samples, goals: Sequence[Goal]) -> Iterator[str]:
    """Lines of a table for each place, and of the targets."""
    order = list(_CALLS)
    every = sorted(figures(samples), key=lambda each: order.index((each.tool, each.verb)))
    for docker, hosts, rtt_ms in samples.places:
        yield from _header(f"{hosts} hosts{' with Docker' * docker}, RTT {rtt_ms} ms", *_HEAD)
        yield from (_row(each) for each in every if (each.docker, each.hosts, each.rtt_ms) == (docker, hosts, rtt_ms))
        yield ""
    for text, met in (("These targets are met", True), ("These targets are not met yet", False)):
        yield from _header(text, "target", "found")
        yield from (_target(each) for each in goals if each.met is met)
        yield ""


def _header(*cells: str) -> Iterator[str]:
    yield _cells(cells)
    yield "|---" * len(cells) + "|"


def _row(each: Figures) -> str:
    separate = "-" if each.separate_s is None else f"{each.separate_s:.2f}"
    trips = "-" if each.round_trips is None else str(each.round_trips)
    name = _CALLS[each.tool, each.verb]
    return _cells((name, f"{each.wall_s.median:.2f}", separate, f"{each.cpu_s:.2f}", f"{each.host_cpu_s:.3f}", trips))


def _target(each: Goal) -> str:
    assert each.found
    return _cells((each.what, f"{each.limit:g}{each.unit}", f"{each.found.median:.3g}{each.unit}"))


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
