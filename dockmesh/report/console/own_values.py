"""Comparison of the texts of different hosts, regardless of each host's own name and addresses."""

import re

from dockmesh.core.model import Host


def without_own_values(text: str, host: Host | None) -> str:
    """Replace the host's own name and addresses with placeholders, so that hosts with the same change compare equal."""
    if host is None:
        return text
    values = {host.bridge: "BRIDGE", host.prefix: "PREFIX", host.underlay: "ADDRESS", host.login.address: "ADDRESS"}
    # `dockmesh init` names hosts by their addresses, and the address is the clearer placeholder then.
    placeholders = {host.name: "HOST"} | {str(value): name for value, name in values.items() if value}
    own = "|".join(re.escape(value) for value in sorted(placeholders, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{own})(?![\w-])", lambda match: placeholders[match[0]], text)
