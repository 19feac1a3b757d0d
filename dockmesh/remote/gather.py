"""Facts of a host: one exec."""

from dockmesh.core import facts, script
from dockmesh.core.model import Fleet, Host
from dockmesh.core.routing import underlays
from dockmesh.core.texts import Texts
from dockmesh.remote.transport import Session


def gather(session: Session, fleet: Fleet, host: Host, texts: Texts, *, timeout_s: float) -> facts.HostFacts:
    """Read `host`.

    Raises:
        HostError: the host cannot be read, or is none that dockmesh works with.
    """
    read = script.reader(texts, underlays(fleet, host))
    return facts.parse(host, session.run(read, timeout_s=timeout_s))
