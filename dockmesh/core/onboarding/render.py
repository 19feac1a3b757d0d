"""Renderer of a new inventory."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import yaml

from dockmesh.core.inventory import default_bridge
from dockmesh.core.model import Host, Settings
from dockmesh.core.onboarding.candidates import Candidate, Value
from dockmesh.core.onboarding.propose import ProposedHost
from dockmesh.core.text import one_line

SCHEMA: Final = "mesh.schema.json"
_HEAD: Final = """\
# yaml-language-server: $schema={schema}
# Written by `dockmesh init`. For completion and checks in editors: dockmesh schema > {schema}
# Next steps: dockmesh validate, dockmesh plan, dockmesh apply.
mesh:
  name: {name}
  pool: {pool}  # pool of the prefixes below and of `dockmesh allocate`
  prefix_length: {length}
"""
_CONNECTION: Final = """\
connection:  # defaults of all hosts; a host may override each. ~/.ssh/config supplies other settings
"""


def render_inventory(
    candidates: Sequence[Candidate],
    proposed: Iterable[ProposedHost],
    settings: Settings,
    connection_options: Mapping[str, Value],
) -> str:
    """Render the inventory; hosts that are left out become comments, with the reason."""
    keys = {each.name: _keys(each, connection_options) for each in candidates}
    shared = {**_most_common(keys.values()), **connection_options}
    text = _HEAD.format(schema=SCHEMA, name=settings.name, pool=settings.pool, length=settings.prefix_length)
    connection = {key: value for key, value in shared.items() if (key, value) != ("become", "none")}
    if connection:
        text += _CONNECTION + "".join(f"  {key}: {_scalar(value)}\n" for key, value in connection.items())
    blocks = [
        _block(candidate, each, {key: value for key, value in keys[each.name].items() if shared.get(key) != value})
        for candidate, each in zip(candidates, proposed, strict=True)
    ]
    return f"{text}hosts:\n{''.join(blocks)}"


def _keys(candidate: Candidate, connection_options: Mapping[str, Value]) -> dict[str, Value]:
    """The connection keys of a host; the default of `become` is none."""
    return {"become": connection_options.get("become", "none"), **candidate.keys}


def _most_common(keys: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """The most common value of each key that all hosts have."""
    keys_by_host = list(keys)
    names = [name for name in (keys_by_host[0] if keys_by_host else ()) if all(name in each for each in keys_by_host)]
    return {name: Counter(each[name] for each in keys_by_host).most_common(1)[0][0] for name in names}


def _block(candidate: Candidate, proposed: ProposedHost, keys: Mapping[str, Value]) -> str:
    lines = list(_lines(candidate, proposed, keys))
    if proposed.host:
        return "".join(f"  {line}\n" for line in lines)
    why = f"  # left out: {one_line(proposed.why or '')}\n"
    return why + "".join(f"  # {line}\n" for line in lines)


def _lines(candidate: Candidate, proposed: ProposedHost, keys: Mapping[str, Value]) -> Iterator[str]:
    host = proposed.host
    yield f"{_scalar(candidate.name)}:"
    yield f"  address: {_scalar(candidate.address)}"
    if host and str(host.underlay) != candidate.address:
        lan = f"  # address for peers, in {proposed.lan}" if proposed.lan else ""
        yield f"  underlay: {host.underlay}{lan}"
    if host:
        yield from _networks(host, proposed)
    yield from (f"  {key}: {_scalar(value)}" for key, value in keys.items())
    if candidate.tags:
        yield f"  tags: [{', '.join(map(_scalar, candidate.tags))}]"


def _networks(host: Host, proposed: ProposedHost) -> Iterator[str]:
    if not host.docker:
        yield "  docker: false  # the host has no Docker"
    if host.prefix is None:
        return
    renumbered = proposed.old_docker0 and proposed.old_docker0 != host.bridge
    comment = f"  # docker0 is {proposed.old_docker0} today" if renumbered else ""
    yield f"  prefix: {host.prefix}{'  # keeps docker0 unchanged' if proposed.keeps_docker0 else comment}"
    if host.bridge and host.bridge != default_bridge(host.prefix):
        yield f"  bridge: {host.bridge}"


def _scalar(value: Value) -> str:
    """The value as YAML, quoted where necessary."""
    return yaml.safe_dump(value, width=1 << 20).removesuffix("\n...\n").removesuffix("\n")
