"""The Prometheus report: gauges in the text format for the textfile collector of the node exporter."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dockmesh.core.results.model import MeshResult, ProbeResult, State, count

_STATES: tuple[State, ...] = ("reached", "failed", "unmade")
_MS = 1000


def render(result: MeshResult) -> str:
    """The result as Prometheus text, in seconds and shares from 0 to 1. Values that were not measured have no line."""
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
            ended = [((), result.time.timestamp())]
            yield self._gauge("dockmesh_status_timestamp_seconds", "Unix time when the probes ended.", (), ended)
        ok = [((), float(result.ok))]
        yield self._gauge(
            "dockmesh_status_ok", "Whether all hosts answered, all probes succeeded and no change is pending.", (), ok
        )
        states = [((state,), float(count(result.probes, state))) for state in _STATES]
        yield self._gauge("dockmesh_probes", "Number of probes by state.", ("state",), states)
        hosts = [((each.host,), float(each.error is None)) for each in result.hosts]
        yield self._gauge("dockmesh_host_up", "Whether the host could be asked.", ("host",), hosts)
        pending = [((each.host,), float(each.pending is not None)) for each in result.hosts]
        yield self._gauge("dockmesh_host_pending", "Whether a change of the host is pending.", ("host",), pending)
        yield from self._probes(result.probes)

    def _probes(self, probes: Iterable[ProbeResult]) -> Iterator[GaugeMetricFamily]:
        named = [((probe.source, probe.target, probe.kind, str(probe.family)), probe) for probe in probes]
        labels = ("source", "target", "kind", "family")
        ok = [(ends, float(probe.ok)) for ends, probe in named]
        yield self._gauge("dockmesh_probe_success", "Whether the probe succeeded.", labels, ok)
        times = [(ends, probe.rtt_ms / _MS) for ends, probe in named if probe.ok and probe.rtt_ms is not None]
        yield self._gauge("dockmesh_probe_rtt_seconds", "Mean round-trip time.", labels, times)
        losses = [(ends, probe.loss) for ends, probe in named if probe.loss is not None]
        yield self._gauge("dockmesh_probe_loss_ratio", "Share of packets without a reply.", labels, losses)

    def _gauge(
        self, name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=("mesh", *labels))
        for label_values, value in values:
            family.add_metric((self._mesh, *label_values), value)
        return family
