"""Text of one host compared with the text of another, their own names and addresses aside."""

import re

from dockmesh.core.model import Host


def without_own_values(text: str, host: Host | None) -> str:
    """The text with the host's own name and addresses replaced, so that hosts that change alike compare equal."""
    if host is None:
        return text
    values = (host.bridge, host.prefix, host.underlay, host.login.address, host.name)
    own = "|".join(re.escape(str(value)) for value in values if value is not None)
    return re.sub(rf"(?<![\w.-])(?:{own})(?![\w-])", "\0", text)
