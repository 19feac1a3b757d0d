"""Events reach every consumer."""

from dockmesh.core.events import Event, HostFinished, PhaseStarted, send_to_all


def test_all_sinks_receive_each_event_in_their_order() -> None:
    received: list[tuple[str, Event]] = []
    sink = send_to_all(lambda event: received.append(("a", event)), lambda event: received.append(("b", event)))
    first, second = PhaseStarted("read", 1), HostFinished("read", "h1", 1, 1)
    sink(first)
    sink(second)
    assert received == [("a", first), ("b", first), ("a", second), ("b", second)]


def test_without_sinks_events_go_nowhere() -> None:
    send_to_all()(PhaseStarted("read", 0))
