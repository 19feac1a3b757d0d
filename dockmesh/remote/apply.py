"""A host's change: one exec, which answers with what came of it and with the facts as they are then."""

from dockmesh.core import facts, script
from dockmesh.core.model import Fleet, Host
from dockmesh.core.plan import HostPlan, restarts_docker
from dockmesh.core.routing import peers
from dockmesh.core.sections import split
from dockmesh.remote.transport import Session

# Containers that ignore SIGTERM have ten seconds each from Docker; the way back may need as long again.
_RESTART_S = 180


def change(
    session: Session,
    fleet: Fleet,
    host: Host,
    plan: HostPlan,
    scripts: script.Scripts,
    *,
    run: str,
    timeout_s: float,
) -> tuple[script.Answer, facts.HostFacts]:
    """Carry out `plan` on `host`: what the transaction made of it, and the host as it is afterwards.

    Raises:
        HostError: the host cannot be reached, or its answer is unreadable; it is then in its old or its new state.
    """
    underlays = [peer.underlay for peer in peers(fleet, host)]
    patience_s = timeout_s + (_RESTART_S if restarts_docker(plan) else 0)
    output = session.run(script.transaction(plan, scripts, underlays, run=run), timeout_s=patience_s)
    return script.answer(split(output)["outcome"]), facts.parse(host, output)
