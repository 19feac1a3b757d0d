"""Ansible with pipelining and 50 forks, over OpenSSH with curve25519: a task with the batch, and an item per route."""

from pathlib import Path

from dockmesh.core.names import ROUTE_METRIC, ROUTE_PROTOCOL
from tests.bench.fleet import Fleet
from tests.bench.python import INTERPRETER
from tests.bench.rivals.openssh import write_config
from tests.bench.rivals.tool import Command, Tool

BATCH, LOOP = "ansible", "ansible-loop"
FORKS = 50
_SETTINGS = f"""\
[defaults]
forks = {FORKS}
gathering = explicit
nocolor = true
[connection]
pipelining = true
"""
_PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - {task}
"""
_READ = """ansible.builtin.command:
        argv: [sh, -s]
        stdin: "{{ lookup('ansible.builtin.file', 'read/' + inventory_hostname) }}\""""
_BATCH = """ansible.builtin.command:
        argv: [ip, -force, -batch, "-"]
        stdin: "{{ lookup('ansible.builtin.file', 'batch/' + inventory_hostname) }}\""""
_LOOP = f"""ansible.builtin.command: ip route replace {{{{ item }}}} proto {ROUTE_PROTOCOL} metric {ROUTE_METRIC}
      loop: "{{{{ lookup('ansible.builtin.file', 'routes/' + inventory_hostname).splitlines() }}}}\""""


def tools(folder: Path) -> tuple[Tool, ...]:
    """Both ways, as installed in that folder of programs."""
    batch = {"read": _play(folder, "read.yml"), "apply": _play(folder, "batch.yml")}
    return (
        Tool(BATCH, batch, _write),
        Tool(LOOP, {"apply": _play(folder, "loop.yml")}, _write),
    )


def _play(folder: Path, file: str) -> Command:
    return lambda _fleet: (str(folder / "ansible-playbook"), "-i", "inventory.ini", file)


def _write(fleet: Fleet) -> None:
    write_config(fleet)
    (fleet.folder / "ansible.cfg").write_text(_SETTINGS)
    login = f"ansible_python_interpreter={INTERPRETER} ansible_ssh_extra_args='-F {fleet.folder}/tuned'"
    (fleet.folder / "inventory.ini").write_text("".join(f"{each} {login}\n" for each in fleet.addresses))
    for name, task in {"read": _READ, "batch": _BATCH, "loop": _LOOP}.items():
        (fleet.folder / f"{name}.yml").write_text(_PLAY.format(task=task))
    (fleet.folder / "routes").mkdir(exist_ok=True)
    for each in fleet.hosts:
        (fleet.folder / "routes" / str(each.underlay.ip)).write_text("".join(f"{way}\n" for way in fleet.routes(each)))
