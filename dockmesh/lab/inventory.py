"""Text of a lab's inventory and known_hosts file, from its topology."""

from collections.abc import Mapping
from pathlib import Path

from dockmesh.lab.topology import FOLDER, POOL, PREFIX_LENGTH, LabHost, Topology

_HEAD = """\
# Written by `dockmesh lab up`. It is an ordinary inventory, except for `netns`:
# dockmesh opens its SSH connections in that network namespace.
mesh:
  name: {name}
  pool: {pool}
  prefix_length: {prefix_length}
connection:
  user: root
  identity_file: {folder}/id_ed25519
  known_hosts: {folder}/known_hosts
  netns: {fabric}
hosts:
"""


def inventory(lab: Topology, *, ipv6: bool = False) -> str:
    """The text of mesh.yml, or with `ipv6` of dual.yml, in which the hosts take part in both families."""
    head = _HEAD.format(
        name=lab.name, pool=POOL, prefix_length=PREFIX_LENGTH, folder=folder(lab.name), fabric=lab.fabric
    )
    return head + "".join(map(_dual_line if ipv6 else _line, lab.hosts))


def known_hosts(lab: Topology, public_keys: Mapping[str, str]) -> str:
    """The text of known_hosts, one line per host, from the public keys by host name."""
    return "".join(f"{host.name},{host.underlay.ip} {public_keys[host.name]}\n" for host in lab.hosts)


def folder(lab: str) -> Path:
    """The directory of the lab's files."""
    return FOLDER / lab


def _line(host: LabHost) -> str:
    docker = "docker: false, " * host.light
    return f"  {host.name}: {{ address: {host.underlay.ip}, prefix: {host.prefix}, {docker}tags: [{host.release}] }}\n"


def _dual_line(host: LabHost) -> str:
    six = f", underlay6: {host.underlay6.ip}, prefix6: {host.prefix6} }}\n"
    return _line(host).removesuffix(" }\n") + six
