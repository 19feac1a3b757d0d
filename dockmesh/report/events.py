"""Who hears how a run goes on, and how it is told to several."""

from collections.abc import Sequence


class Listener:
    """Hears how a run goes on, and does nothing about it. All but the phases may come from many threads at once."""

    def phase(self, name: str, hosts: int) -> None:
        """A phase begins, in which `done` will be called `hosts` times."""

    def done(self, host: str, error: str | None) -> None:
        """A host is through the phase."""

    def outcome(self, host: str, status: str, error: str | None) -> None:
        """What has become of a host in the end."""

    def begun(self, host: str, work: str, script: str) -> None:
        """A host is asked, by a login or by a script."""

    def ended(self, host: str, work: str, seconds: float, error: str | None) -> None:
        """It has answered, or not."""


class Several(Listener):
    """Tells each of them."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def phase(self, name: str, hosts: int) -> None:
        """See `Listener`."""
        for each in self._listeners:
            each.phase(name, hosts)

    def done(self, host: str, error: str | None) -> None:
        """See `Listener`."""
        for each in self._listeners:
            each.done(host, error)

    def outcome(self, host: str, status: str, error: str | None) -> None:
        """See `Listener`."""
        for each in self._listeners:
            each.outcome(host, status, error)

    def begun(self, host: str, work: str, script: str) -> None:
        """See `Listener`."""
        for each in self._listeners:
            each.begun(host, work, script)

    def ended(self, host: str, work: str, seconds: float, error: str | None) -> None:
        """See `Listener`."""
        for each in self._listeners:
            each.ended(host, work, seconds, error)
