"""The measurement, round by round. All variants take turns within a round, so that other load affects all of them."""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dockmesh.lab.process import run
from tests.bench.data.pair import Pair, host_namespace
from tests.bench.data.sample import KINDS, DataSample, Place
from tests.bench.data.variants import HOST, Variant

_PORT = 5201
_PYTHON = (sys.executable, "-I", "-S", str(Path(__file__).with_name("traffic.py")))


def rounds(
    pair: Pair, place: Place, compared: Sequence[Variant], count: int, seconds: float
) -> Iterator[tuple[DataSample, ...]]:
    """The samples of each round."""
    with ExitStack() as servers:
        for namespace in (pair.server.namespace, host_namespace(pair.server)):
            servers.enter_context(_server(namespace))
        for variant in compared:
            _measured(pair, variant, min(seconds, 0.1))
        for number in range(1, count + 1):
            yield tuple(_round(pair, place, compared, number, seconds))


def _round(pair: Pair, place: Place, compared: Sequence[Variant], number: int, seconds: float) -> Iterator[DataSample]:
    """All variants in turn, and once more in reverse order, so that a trend within the round affects all alike."""
    turn = number % len(compared)
    order = (*compared[turn:], *compared[:turn])
    taken: dict[tuple[str, int | None, str], list[float]] = {}
    for variant in (*order, *reversed(order)):
        for kind, value in _measured(pair, variant, seconds).items():
            taken.setdefault((variant.name, variant.peers, kind), []).append(value)
    for (name, peers, kind), values in taken.items():
        yield DataSample(place, name, peers, kind, number, statistics.fmean(values))
    sys.stderr.write(f"{place}: round {number}\n")


def _measured(pair: Pair, variant: Variant, seconds: float) -> dict[str, float]:
    """The figures of a variant by kind."""
    variant.put(pair.lab)
    between_hosts = variant.name == HOST
    namespace = host_namespace(pair.client) if between_hosts else pair.client.namespace
    address = str(pair.server.host.underlay.ip) if between_hosts else pair.server.address
    argv = ("nsenter", f"--net={namespace}", *_PYTHON)
    return {kind: float(run((*argv, kind, address, str(_PORT), str(seconds))).stdout) for kind in KINDS}


@contextmanager
def _server(namespace: Path) -> Iterator[None]:
    argv = ("nsenter", f"--net={namespace}", *_PYTHON, "serve", str(_PORT))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as server:
        assert server.stdin
        assert server.stdout
        try:
            if server.stdout.readline() != b"ready\n":
                raise SystemExit("the server of the traffic did not start")
            yield
        finally:
            server.stdin.close()
            server.terminate()
