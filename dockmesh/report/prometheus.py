"""A result for Prometheus: gauges in its text form, as the node exporter's textfile collector reads them."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dockmesh.core.results.model import MeshResult, ProbeResult, State, count

_STATES: tuple[State, ...] = ("reached", "failed", "unmade")
_MS = 1000


def render(result: MeshResult) -> str:
    """The text. Seconds and shares throughout; what was not measured has no line."""
    registry = CollectorRegistry()
    registry.register(_Gauges(result))
    return generate_latest(registry).decode()


class _Gauges(Collector):
    def __init__(self, result: MeshResult) -> None:
        self._result = result
        self._mesh = result.mesh or "mesh"

    def collect(self) -> Iterator[GaugeMetricFamily]:
        result = self._result
        if result.time:
            at = [((), result.time.timestamp())]
            yield self._gauge("dockmesh_status_timestamp_seconds", "When the mesh was probed, in Unix time.", (), at)
        well = [((), float(result.ok))]
        yield self._gauge(
            "dockmesh_status_ok", "Whether every host was asked and every probe is as it should be.", (), well
        )
        states = [((state,), float(count(result.probes, state))) for state in _STATES]
        yield self._gauge("dockmesh_probes", "Probes by what came of them.", ("state",), states)
        hosts = [((each.host,), float(each.error is None)) for each in result.hosts]
        yield self._gauge("dockmesh_host_up", "Whether the host could be asked.", ("host",), hosts)
        yield from self._probes(result.probes)

    def _probes(self, probes: Iterable[ProbeResult]) -> Iterator[GaugeMetricFamily]:
        named = [((probe.source, probe.target, probe.kind, str(probe.family)), probe) for probe in probes]
        labels = ("source", "target", "kind", "family")
        ok = [(ends, float(probe.ok)) for ends, probe in named]
        yield self._gauge("dockmesh_probe_success", "Whether all is as it should be.", labels, ok)
        times = [(ends, probe.rtt_ms / _MS) for ends, probe in named if probe.ok and probe.rtt_ms is not None]
        yield self._gauge("dockmesh_probe_rtt_seconds", "Mean round trip.", labels, times)
        losses = [(ends, probe.loss) for ends, probe in named if probe.loss is not None]
        yield self._gauge("dockmesh_probe_loss_ratio", "Share of packets not answered.", labels, losses)

    def _gauge(
        self, name: str, told: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, told, labels=("mesh", *labels))
        for given, value in values:
            family.add_metric((self._mesh, *given), value)
        return family
