"""The transaction of a host: shell steps that make its changes, and the inverse steps that revert them.

The scripts in `templates/` define the shell functions. This module generates calls of them and quotes every word.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, Literal, get_args

from dockmesh.core.addresses import Address
from dockmesh.core.facts.script import peer_variables
from dockmesh.core.host_output import Section, parse_json, parsing, printable, sanitize
from dockmesh.core.planning.findings import StartWarning, WarningCode
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state import codec
from dockmesh.core.state.diff import Change, ordered
from dockmesh.core.state.resources import HostState
from dockmesh.core.state.steps import base64_lines, shell_steps, with_input
from dockmesh.core.templates import Templates, shell_script
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

# The outcome has no code if the change is no longer pending.
_REVERT = """output=
if [ "$(cat /etc/dockmesh/pending/run 2>/dev/null)" = "$RUN" ]; then
  output=$(BY_CONTROLLER=yes sh /etc/dockmesh/pending/revert.sh 2>&1 </dev/null | sed '/^@end /d')
fi
case "$output" in
  *@outcome*) printf '%s\\n' "$output" ;;
  *)
    [ "$(cat /etc/dockmesh/pending/run 2>/dev/null)" = "$RUN" ] ||
      run_section outcome echo '{"status": "reverted", "code": "", "error": ""}'
    ;;
esac"""
_CODE = re.compile(r"(?:[a-z][a-z0-9-]{0,39})?")
# Docker names the cause at the end of a long error.
_WARNING_CHARACTERS = 500
_MAX_WARNINGS = 100
_START = {
    WarningCode.CONTAINER_NOT_STARTED: ("container", "docker start"),
    WarningCode.UNIT_NOT_STARTED: ("unit", "systemctl start"),
}
Status = Literal["changed", "confirmed", "reverted", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """The outcome that a script reports. `changed`: the change is made and waits for its confirmation.

    `code` is the OutcomeCode that `templates/transaction.sh` writes; None without an error. `warnings`, of a confirmed
    or reverted change: the containers and units that did not start again with Docker.
    """

    status: Status
    code: str | None
    error: str | None
    warnings: tuple[StartWarning, ...] = ()


def transaction_script(
    plan: HostPlan,
    before: HostState,
    texts: Templates,
    peers: Iterable[Address],
    *,
    run: str,
    confirm_within_s: int,
) -> str:
    """Return the script that changes a host, for its shell's stdin. It reports the outcome and the facts afterwards.

    `run` names the holder of the lock; `confirm_script` needs the same name. `before` is the state for rollback.
    """
    back = _back(ordered(SharedSequence.of(plan.changes).mapped("inverse", Change.inverse)))
    revert = shell_script(texts.output, texts.network_steps, texts.host_steps, texts.transaction, back, call="revert")
    return shell_script(
        texts.output,
        texts.kernel_settings,
        texts.facts,
        texts.network_steps,
        texts.host_steps,
        texts.transaction,
        peer_variables(peers),
        f"RUN={quote(run)} BASIS={quote(plan.basis)} CONFIRM_S={confirm_within_s}",
        _forward(plan.changes),
        back,
        _pending(revert, codec.dump_state(before)),
        # The steps read stdin, and stdin is this script, so the shell must read all of it first.
        "transact </dev/null",
        call="read_facts",
    )


def confirm_script(texts: Templates, *, run: str, remember: bool) -> str:
    """Return the script that confirms the change of `run`. `remember`: keep the state before it for rollback."""
    keep = f"RUN={quote(run)} SAVE_PREVIOUS={'yes' if remember else 'no'}"
    return shell_script(texts.output, texts.host_steps, texts.transaction, keep, call="confirm")


def revert_script(texts: Templates, *, run: str) -> str:
    """Return the script that reverts the unconfirmed change of `run` at once, unless it is no longer pending."""
    return shell_script(texts.output, f"RUN={quote(run)}", _REVERT, call="true")


def _pending(revert: str, before: str) -> str:
    steps = (
        with_input("save_pending revert.sh", base64_lines(revert)),
        with_input("save_pending previous.json", base64_lines(before)),
    )
    return "\n".join(("write_pending() {", " &&\n".join(steps), "}"))


def parse_outcome(section: Section) -> TransactionOutcome:
    """Read the outcome section of a transaction.

    Raises:
        HostError: the section has another form.
    """
    with parsing("outcome"):
        document = parse_json(section.text)
        status, code, error = document["status"], document["code"], document["error"]
        if not _CODE.fullmatch(code):
            raise ValueError(code)
        warnings = tuple(_warning(row) for row in document.get("warnings", [])[:_MAX_WARNINGS])
    if status not in get_args(Status):
        raise HostError(
            f"the transaction reported the unknown status {sanitize(str(status))!r}",
            code=HostErrorCode.ANSWER_UNREADABLE,
        )
    return TransactionOutcome(status, code or None, sanitize(str(error)) or None, warnings)


def _warning(row: dict[str, Any]) -> StartWarning:
    code, name = WarningCode(row["code"]), sanitize(str(row["key"]))
    kind, command = _START[code]
    error = printable(str(row["error"]))[:_WARNING_CHARACTERS]
    return StartWarning(
        code, name, f"{kind} {name} did not start again: {error}", f"remove the cause, then {command} {quote(name)}"
    )


def _forward(changes: Sequence[Change]) -> str:
    """The steps of the change; they stop at the first failure."""
    return "\n".join(("apply_steps() {", *(f"{step} &&" for step in shell_steps(changes)), "true", "}"))


def _back(changes: Sequence[Change]) -> str:
    """The steps of the revert; a failed step does not stop the next ones."""
    steps = (f"{step} || any_step_failed=1" for step in shell_steps(changes))
    return "\n".join(("revert_steps() {", "any_step_failed=", *steps, '[ -z "$any_step_failed" ]', "}"))
