"""Traces from host1 to host3 of the lab as `--pcap` kept them, each frame cut after 90 bytes."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from builders import FLEET

from dockmesh.core.trace.model import Capture, CaptureSet, EndpointAddress, Point, trace_query

DATA = Path(__file__).parent / "data" / "trace"
WEB1, WEB3 = IPv4Address("10.128.0.2"), IPv4Address("10.128.32.2")
HOST1, HOST3 = IPv4Address("192.168.18.128"), IPv4Address("192.168.18.130")
QUESTION = trace_query(FLEET, "host1", "host3", run="0123456789ab", size=307)
FOUND = {"host1": EndpointAddress(WEB1, 7), "host3": EndpointAddress(WEB3, 8)}
POINTS = (
    Point("host1", "container", "eth0"),
    Point("host1", "bridge", "docker0", "02:42:02:52:38:62"),
    Point("host1", "uplink", "eth0", "02:00:c0:a8:12:80"),
    Point("host3", "uplink", "eth0", "02:00:c0:a8:12:82"),
    Point("host3", "bridge", "docker0", "02:42:5f:00:00:01"),
    Point("host3", "container", "eth0"),
)


def pcap(name: str, point: Point) -> bytes:
    return (DATA / name / f"{point.host}-{point.place}-{point.interface}.pcap").read_bytes()


def capture_set(name: str, changes: Mapping[Point, bytes] | None = None, *, said: str = "") -> CaptureSet:
    """A recorded trace, with the captures of `changes` in the place of its own."""
    files = {point: pcap(name, point) for point in POINTS} | dict(changes or {})
    return CaptureSet(QUESTION, FOUND, tuple(Capture(point, file) for point, file in files.items()), said)


def with_failed_point(found: CaptureSet, point: Point, error: str) -> CaptureSet:
    """The same where nothing could be captured at one point."""
    captures = (Capture(replace(point, error=error), b"") if each.point == point else each for each in found.captures)
    return replace(found, captures=tuple(captures))
