"""`status` of a part of the mesh, and `status --watch`."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from accidents import output_of, temporarily
from mesh import Mesh

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
ACCEPTED = "sed -n 's/^Tcp: [0-9]* [0-9]* [0-9]* -*[0-9]* [0-9]* \\([0-9]*\\).*/\\1/p' /proc/net/snmp"
LEFT = "nft list tables | grep dockmesh-status; pgrep --full '^timeout .* cat'; ip -o link show | grep dmp; true"
WITHIN_S = 60
SOON_S = 5
ROUTE = "10.128.32.0/20 via 192.168.18.130 dev eth0 proto 201 metric 4201"


@contextmanager
def watching(mesh: Mesh, *, terminal: bool) -> Iterator[tuple[subprocess.Popen[bytes], "Screen"]]:
    """A running `status --watch 1` with its output. It ends with the block."""
    ours, its = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        mesh.argv("status", "--watch", "1"),
        stdin=its if terminal else subprocess.DEVNULL,
        stdout=its,
        stderr=its,
        cwd=mesh.file.parent,
        env=mesh.environment() | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
        start_new_session=True,
    )
    os.close(its)
    try:
        yield process, Screen(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


class Screen:
    """All output so far."""

    def __init__(self, source: int) -> None:
        self._source = source
        self.text = ""

    def shows(self, pattern: str) -> bool:
        """Wait for further matching output. False after the timeout."""
        end = time.monotonic() + WITHIN_S
        begun = len(self.text)
        while time.monotonic() < end and not re.search(pattern, self.text[begun:]):
            if select.select([self._source], [], [], 0.2)[0]:
                self.text += os.read(self._source, 1 << 16).decode(errors="replace")
        return bool(re.search(pattern, self.text[begun:]))


def nothing_left(lab: Lab) -> bool:
    return all(output_of(lab, host, "sh", "-c", LEFT) == "" for host in HOSTS)


def test_named_pairs_are_probed_both_ways_and_no_other_host_is(joined: Mesh, lab: Lab) -> None:
    before = output_of(lab, "host2", "sh", "-c", ACCEPTED)
    status = joined.dockmesh("status", "--json", "--pairs", "host1:host3")
    assert output_of(lab, "host2", "sh", "-c", ACCEPTED) == before
    assert status.status == 0
    probes = status.document["probes"]
    assert {(each["source"], each["target"]) for each in probes} == {("host1", "host3"), ("host3", "host1")}
    assert {each["mtu_ok"] for each in probes if each["kind"] == "container-container"} == {True}
    assert all(each["source_seen"] for each in probes)


def test_a_sample_probes_one_peer_from_every_host(joined: Mesh) -> None:
    status = joined.dockmesh("status", "--json", "--sample", "1")
    assert status.status == 0
    pairs = {(each["source"], each["target"]) for each in status.document["probes"]}
    assert {source for source, target in pairs if source == target} == set(HOSTS)
    assert sorted(source for source, target in pairs if source != target) == list(HOSTS)


def test_watch_without_a_terminal_prints_a_block_per_round(joined: Mesh, lab: Lab) -> None:
    with watching(joined, terminal=False) as (process, screen):
        assert screen.shows("All 21 probes reached")
        with temporarily(
            lab,
            "host1",
            do=["systemctl stop dockmesh.timer", f"ip route del {ROUTE}"],
            undo=[f"ip route replace {ROUTE}", "systemctl start dockmesh.timer"],
        ):
            assert screen.shows(r"host1 [^→\n]*\broute\b[^→\n]* host3\b")
        assert screen.shows("All 21 probes reached")
        process.send_signal(signal.SIGINT)
        assert poll(lambda: process.poll() is not None, SOON_S)
    assert process.returncode == 130
    assert screen.text.count("every 1 s; Ctrl-C ends it") >= 3
    assert "\x1b" not in screen.text
    assert poll(lambda: nothing_left(lab), SOON_S)


def test_watch_on_a_terminal_refreshes_and_ctrl_c_cleans_the_hosts(joined: Mesh, lab: Lab) -> None:
    with watching(joined, terminal=True) as (process, screen):
        assert screen.shows("All 21 probes reached")
        assert screen.shows("All 21 probes reached")
        process.send_signal(signal.SIGINT)
        assert poll(lambda: process.poll() is not None, SOON_S)
    assert process.returncode == 130
    assert "\x1b[1A" in screen.text, "the cursor moves up to the previous output"
    assert poll(lambda: nothing_left(lab), SOON_S)
