"""The script that reads a host."""

from collections.abc import Iterable
from shlex import quote

from dockmesh.core.addresses import FAMILIES, IPV4, IPV6, Address, family_of
from dockmesh.core.shared import SharedSequence
from dockmesh.core.templates import Templates, shell_script


def facts_script(texts: Templates, peers: Iterable[Address]) -> str:
    """The script that reads a host, for stdin of its shell."""
    return shell_script(texts.output, texts.kernel_settings, texts.facts, peer_variables(peers), call="read_facts")


def peer_variables(peers: Iterable[Address]) -> str:
    """The assignments of the underlay addresses of the peers that facts.sh needs."""
    of = dict.fromkeys(FAMILIES, "")
    for family, run in SharedSequence.of(peers).runs("family", family_of):
        of[family] += run.written("peer", lambda peer: f"{peer} ")
    return f"PEERS={quote(of[IPV4].rstrip())} PEERS6={quote(of[IPV6].rstrip())}"
