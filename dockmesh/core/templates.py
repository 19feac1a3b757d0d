"""The texts of `templates/` as the core takes them: it reads no files itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Templates:
    """Shell, of which every script begins with `output`; and Jinja templates."""

    output: str
    kernel_settings: str
    facts: str
    network_steps: str
    host_steps: str
    transaction: str
    probe: str
    observe: str
    trace: str
    explain: str
    daemon_json: str
    service: str
    timer: str


def shell_script(*parts: str, call: str) -> str:
    """A script for the standard input of a shell: the parts, then the call, which must not read from the script."""
    return "\n".join((*parts, f"{call} </dev/null", "run_section end true", ""))
