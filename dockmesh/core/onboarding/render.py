"""The text of an inventory to begin with."""

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
# Written by `dockmesh init`. Editors complete and check it by that schema: dockmesh schema > {schema}
# What to do next: dockmesh validate, plan, apply.
mesh:
  name: {name}
  pool: {pool}  # what prefixes were drawn from, and `dockmesh allocate` draws them from
  prefix_length: {length}
"""
_CONNECTION: Final = """\
connection:  # of all hosts; each may say otherwise. What is left open comes from ~/.ssh/config
"""


def render_inventory(
    candidates: Sequence[Candidate], proposed: Iterable[ProposedHost], settings: Settings, given: Mapping[str, Value]
) -> str:
    """The inventory; hosts that are left out stand in it as comments, with the reason."""
    keys = {each.name: _keys(each, given) for each in candidates}
    shared = {**_shared(keys.values()), **given}
    text = _HEAD.format(schema=SCHEMA, name=settings.name, pool=settings.pool, length=settings.prefix_length)
    connection = {key: value for key, value in shared.items() if (key, value) != ("become", "none")}
    if connection:
        text += _CONNECTION + "".join(f"  {key}: {_scalar(value)}\n" for key, value in connection.items())
    blocks = [
        _block(candidate, each, {key: value for key, value in keys[each.name].items() if shared.get(key) != value})
        for candidate, each in zip(candidates, proposed, strict=True)
    ]
    return f"{text}hosts:\n{''.join(blocks)}"


def _keys(candidate: Candidate, given: Mapping[str, Value]) -> dict[str, Value]:
    """What is to be said of a host's connection; without a word about it, nobody becomes anybody."""
    return {"become": given.get("become", "none"), **candidate.keys}


def _shared(keys: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """What is said of every host: the word of most."""
    of_all = list(keys)
    names = [name for name in (of_all[0] if of_all else ()) if all(name in each for each in of_all)]
    return {name: Counter(each[name] for each in of_all).most_common(1)[0][0] for name in names}


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
        lan = f"  # for the peers, in {proposed.lan}" if proposed.lan else ""
        yield f"  underlay: {host.underlay}{lan}"
    if host:
        yield from _networks(host, proposed)
    yield from (f"  {key}: {_scalar(value)}" for key, value in keys.items())
    if candidate.tags:
        yield f"  tags: [{', '.join(map(_scalar, candidate.tags))}]"


def _networks(host: Host, proposed: ProposedHost) -> Iterator[str]:
    if not host.docker:
        yield "  docker: false  # none was found there"
    if host.prefix is None:
        return
    moves = (
        f"  # docker0 is {proposed.old_docker0} now"
        if proposed.old_docker0 and proposed.old_docker0 != host.bridge
        else ""
    )
    yield f"  prefix: {host.prefix}{'  # docker0 stays as it is' if proposed.keeps_docker0 else moves}"
    if host.bridge and host.bridge != default_bridge(host.prefix):
        yield f"  bridge: {host.bridge}"


def _scalar(value: Value) -> str:
    """As YAML, quoted where it would be something else than a word."""
    return yaml.safe_dump(value, width=1 << 20).removesuffix("\n...\n").removesuffix("\n")
