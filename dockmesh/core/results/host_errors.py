"""Errors of hosts, each distinct one once with its hosts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Messages of logins start with an address: `ADDRESS:PORT: problem`, or `[ADDRESS]:PORT: problem`.
_ADDRESS = re.compile(r"\[?([\d.]+|[\da-f:]*:[\da-f:]*[\da-f])(?:\])?(?::\d+)?: ", re.IGNORECASE)
# A fingerprint is a property of one host as well.
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]+")
_OWN = "\0"


@dataclass(frozen=True, slots=True)
class HostErrorGroup:
    """Hosts with the same error. `message`: the error of the first host.

    `alike`: the messages of the other hosts differ, but only in their own names, addresses and fingerprints.
    """

    hosts: tuple[str, ...]
    message: str
    alike: bool = False

    def __str__(self) -> str:
        """The message, with the name of its host where the others have similar ones."""
        return f"{self.message} (shown for {self.hosts[0]})" if self.alike else self.message


def group_host_errors(errors: Iterable[tuple[str, str]]) -> tuple[HostErrorGroup, ...]:
    """The errors, given as pairs of host and message, in the order of the first host of each group."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for host, message in errors:
        groups.setdefault(_form(host, message), []).append((host, message))
    return tuple(
        HostErrorGroup(
            hosts=tuple(host for host, _ in group),
            message=group[0][1],
            alike=len({message for _, message in group}) > 1,
        )
        for group in groups.values()
    )


def _form(host: str, message: str) -> str:
    """The message without the name, the address and the fingerprint of its host."""
    names = {host}
    if address := _ADDRESS.match(message):
        names.add(address[1])
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{alternatives})(?![\w-])", _OWN, _FINGERPRINT.sub(_OWN, message))
