"""The journals of the hosts, as evidence of a failed test."""

from collections.abc import Iterable, Iterator

from dockmesh.errors import LabError
from dockmesh.lab.running import Lab

_JOURNAL = ("journalctl", "--quiet", "--no-pager", "--output", "short-precise")
_LINES = 20
_WITHIN_S = 5.0


def journals_of(fixtures: Iterable[object], since: float) -> Iterator[tuple[str, str]]:
    """The last lines since then in the journals of the hosts of the fixtures, each with a heading."""
    having = (each if isinstance(each, Lab) else getattr(each, "lab", None) for each in fixtures)
    for lab in {each.topology.name: each for each in having if isinstance(each, Lab)}.values():
        for host in lab.topology.hosts:
            if text := _journal(lab, host.name, since):
                yield f"journal of {host.name} in lab {lab.topology.name}", text


def _journal(lab: Lab, host: str, since: float) -> str:
    try:
        # With --since, journalctl --lines prints the first lines on systemd 252, and the last ones on later versions.
        text = lab.run(host, (*_JOURNAL, "--since", f"@{since:.0f}"), within_s=_WITHIN_S).stdout
    except LabError as error:
        return str(error)
    return "\n".join(text.splitlines()[-_LINES:])
