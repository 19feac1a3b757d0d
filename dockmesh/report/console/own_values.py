"""Comparison of the texts of different hosts, regardless of each host's own name and addresses."""

import re
from collections.abc import Mapping

from dockmesh.core.model import Host
from dockmesh.core.results.model import HostResult


def without_own_values(text: str, host: Host | None) -> str:
    """Replace the host's own name and addresses with placeholders, so that hosts with the same change compare equal."""
    if host is None:
        return text
    values = {host.bridge: "BRIDGE", host.prefix: "PREFIX", host.underlay: "ADDRESS", host.login.address: "ADDRESS"}
    return _with_placeholders(text, {str(value): name for value, name in values.items() if value}, host.name)


def without_own_result_values(text: str, host: HostResult) -> str:
    """As `without_own_values`, for a host of a result, which has no login address."""
    values = {host.prefix: "PREFIX", host.underlay: "ADDRESS", host.underlay6: "ADDRESS"}
    return _with_placeholders(text, {str(value): name for value, name in values.items() if value}, host.host)


def _with_placeholders(text: str, names: Mapping[str, str], host: str) -> str:
    # `dockmesh init` names hosts by their addresses, and the address is the clearer placeholder then.
    placeholders = {host: "HOST", **names}
    own = "|".join(re.escape(value) for value in sorted(placeholders, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{own})(?![\w-])", lambda match: placeholders[match[0]], text)
