"""Type of the loaded templates: the core gets their text, because it reads no files."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Templates:
    """Text of the templates.

    Parts of shell scripts, each of them starting with `output`; the perl program `prober`; and Jinja templates.
    """

    output: str
    kernel_settings: str
    facts: str
    network_steps: str
    host_steps: str
    transaction: str
    probe: str
    prober: str
    observe: str
    trace: str
    explain: str
    daemon_json: str
    service: str
    timer: str


def shell_script(*parts: str, call: str) -> str:
    """Build a script for the standard input of a shell: the parts, then the call.

    The call reads from /dev/null, because it would otherwise consume the script.
    """
    return "\n".join((*parts, f"{call} </dev/null", "run_section end true", ""))
