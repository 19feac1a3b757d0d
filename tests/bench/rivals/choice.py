"""Which tools a run measures: those asked for that can be had."""

from collections.abc import Iterable
from dataclasses import replace

from tests.bench.options import Options
from tests.bench.rivals import ansible, openssh, pyinfra
from tests.bench.rivals.tool import Tool

_NOT_INSTALLED = "it is not installed: no network, or no release for this Python"


def chosen(options: Options, no_python: str | None) -> tuple[tuple[Tool, ...], dict[str, str]]:
    """The tools beside dockmesh, and by name why others asked for are not among them. OpenSSH is always had."""
    every = {
        tool.name: tool for tool in (*openssh.tools(), *pyinfra.tools(options.tools), *ansible.tools(options.tools))
    }
    if unknown := options.rivals.keys() - every.keys():
        raise SystemExit(f"--rivals: there is no {', '.join(unknown)}; there are {', '.join(every)}")
    absent = dict(_absent(options, no_python))
    tools = (replace(every[name], most=most) for name, most in options.rivals.items() if name not in absent)
    return tuple(tools), absent


def _absent(options: Options, no_python: str | None) -> Iterable[tuple[str, str]]:
    for name, program in (
        (pyinfra.NAME, "pyinfra"),
        (ansible.BATCH, "ansible-playbook"),
        (ansible.LOOP, "ansible-playbook"),
    ):
        if name not in options.rivals:
            continue
        if not (options.tools / program).exists():
            yield name, _NOT_INSTALLED
        elif no_python and name != pyinfra.NAME:
            yield name, no_python
