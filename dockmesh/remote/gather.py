"""Facts of a host: one exec."""

from dockmesh.core.desired.routing import underlays
from dockmesh.core.facts import host_facts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning import transaction
from dockmesh.core.templates import Templates
from dockmesh.remote.transport import Session


def read_host(
    session: Session, fleet: Fleet, host: Host, texts: Templates, *, timeout_s: float
) -> host_facts.HostFacts:
    """Read `host`.

    Raises:
        HostError: the host cannot be read, or is none that dockmesh works with.
    """
    read = transaction.facts_script(texts, underlays(fleet, host))
    return host_facts.parse_facts(host, session.run(read, timeout_s=timeout_s))
