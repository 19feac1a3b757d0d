"""Probes of the mesh: a host's whole row in one exec, all hosts at once."""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from dockmesh.core.causes import explained
from dockmesh.core.model import Fleet, Host
from dockmesh.core.reach import Probe, Reachability, Report, Target, rows
from dockmesh.core.reach.questions import probes
from dockmesh.core.reach.targets import release_script, target, target_script, unread
from dockmesh.core.sections import split
from dockmesh.core.texts import Texts
from dockmesh.errors import HostError
from dockmesh.remote.fanout import fan_out
from dockmesh.remote.sessions import Sessions

Done = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class Prober:
    """What a verification works with. `offset` sets the addresses of concurrent runs apart."""

    executor: Executor
    sessions: Sessions
    texts: Texts
    offset: int
    timeout_s: float

    def targets(self, hosts: Iterable[Host], targets: dict[str, Target], done: Done) -> dict[str, str]:
        """Fill `targets` with what each host offers to be probed, as it comes; the errors of those that could not say.

        A namespace that a host makes for that ends by itself after two minutes.
        """
        errors = {}
        for host, offered in fan_out(self.executor, hosts, self._target):
            if isinstance(offered, HostError):
                errors[host.name] = str(offered)
            else:
                targets[host.name] = offered
            done(host.name, errors.get(host.name))
        return errors

    def release(self, hosts: Iterable[Host], targets: Mapping[str, Target]) -> None:
        """End the namespaces that `targets` made. One that cannot be ended now ends by itself."""
        holding = [host for host in hosts if host.name in targets and targets[host.name].held]
        for _ in fan_out(self.executor, holding, partial(self._release, targets)):
            pass

    def row(
        self, targets: Mapping[str, Target], questions: Mapping[str, list[Probe]], host: Host
    ) -> list[Reachability]:
        """Ask all of a host's questions."""
        own = targets.get(host.name)
        asked = questions[host.name]
        script = rows.row_script(asked, targets, self.texts, pid=own.pid if own else None)
        output = split(self.sessions.of(host).run(script, timeout_s=self.timeout_s + rows.duration_s(asked)))
        return list(rows.answers(asked, targets, output["probes"]))

    def _target(self, host: Host) -> Target:
        script = target_script(host, self.texts, offset=self.offset)
        return target(host, split(self.sessions.of(host).run(script, timeout_s=self.timeout_s)))

    def _release(self, targets: Mapping[str, Target], host: Host) -> None:
        pid = targets[host.name].pid
        if pid is not None:
            script = release_script(pid, self.texts)
            self.sessions.of(host).run(script, timeout_s=self.timeout_s)


def verify(
    prober: Prober,
    fleet: Fleet,
    sources: Iterable[Host],
    done: Done,
    *,
    about: Collection[str] | None = None,
    lost: Mapping[str, str] | None = None,
) -> Report:
    """Probe from every host of `sources` to every host of the fleet; only what touches a host of `about`, if given.

    `lost`: hosts that are not asked, and why.
    """
    asking = tuple(sources)
    questions: dict[str, list[Probe]] = {host.name: [] for host in asking}
    for probe in probes(fleet, asking, about):
        questions[probe.source].append(probe)
    targets: dict[str, Target] = {}
    answers: dict[str, list[Reachability]] = {}
    errors = dict(lost or {})
    try:
        errors |= prober.targets([host for host in fleet.hosts if host.name not in errors], targets, done)
        able = [host for host in asking if host.name not in errors]
        targets |= {host.name: unread(host) for host in fleet.hosts if host.name in errors}
        for host, row in fan_out(prober.executor, able, partial(prober.row, targets, questions)):
            if isinstance(row, HostError):
                errors[host.name] = str(row)
            else:
                answers[host.name] = row
            done(host.name, errors.get(host.name))
    finally:
        prober.release(fleet.hosts, targets)
    return explained(rows.report(fleet, questions, answers, errors), fleet, targets)
