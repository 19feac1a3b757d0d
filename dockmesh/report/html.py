"""A self-contained HTML page of a result: graph, heat map, tables and details.

The page's policy (CSP) allows its own script and style only, and no network access. Text from hosts is data.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from dockmesh.assets import source, template
from dockmesh.core.compact import describe_names
from dockmesh.core.results.group import FailureCause, group_by_cause
from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult, count
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.report.console.terminal import pluralize
from dockmesh.report.probe_text import probes_text
from dockmesh.report.unconfirmed_text import unconfirmed_lines

_LIBRARIES = ("d3-path", "d3-shape", "d3-hierarchy", "d3-selection")
_PARTS = ("model", "heatmap", "graph", "commands", "details", "tables", "page")
_FEW, _SOME = 6, 12
_NAMED = 12
_UNKNOWN = -1
_US = 1000
_PAGE = "report/page.html.j2"


def render(result: MeshResult) -> str:
    """Render the page.

    Raises:
        UsageError: The user's own template has an error.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    causes, script, style = group_by_cause(result), _script(), template("report/page.css")
    variables = {
        "result": result,
        "mesh_title": _mesh_title(result.mesh),
        "heading": _heading(result),
        "size_class": _size(len(result.hosts)),
        "unconfirmed": [
            {"hosts": describe_names(hosts, result.tags, most=_NAMED), "reason": reason}
            for hosts, reason in unconfirmed_lines(result)
        ],
        "causes": [_shown(cause) for cause in causes],
        "data": _data(result, causes),
        "script": script,
        "style": style,
        "script_hash": _hash(script),
        "style_hash": _hash(style),
    }
    try:
        return environment.from_string(template(_PAGE)).render(variables)
    except TemplateError as error:
        raise UsageError(f"{source(_PAGE)}: {error}", code=UsageCode.BAD_TEMPLATE) from error


def _mesh_title(mesh: str | None) -> str:
    return f"mesh {mesh}" if mesh and mesh.lower() != "mesh" else "mesh"


def _heading(result: MeshResult) -> str:
    total = f"{len(result.probes):,} probe" + "s" * (len(result.probes) != 1)
    if result.ok:
        return f"All {total} reached" if result.probes else "Nothing to probe"
    counts = ((count(result.failed, "failed"), "failed"), (count(result.failed, "unmade"), "could not be made"))
    failures = " and ".join(f"{many:,} {text}" for many, text in counts if many)
    if failures:
        return f"Of {total}, {failures}"
    if result.errors:
        return f"{pluralize(len(result.errors), 'host')} did not answer"
    return f"{pluralize(len(result.pending), 'host')} with a pending change"


def _size(hosts: int) -> str:
    """Size class of the mesh: pictures side by side, pictures stacked, or cells without text."""
    return "few" if hosts <= _FEW else "some" if hosts <= _SOME else "many"


def _shown(cause: FailureCause) -> dict[str, Any]:
    where = None if cause.host else probes_text(cause.probes)
    return {"host": cause.host, "reason": cause.reason, "probes": pluralize(len(cause.probes), "probe"), "where": where}


def _script() -> str:
    licence = f"/* d3:\n{template('report/d3/LICENSE')}*/"
    libraries = (template(f"report/d3/{name}.min.js") for name in _LIBRARIES)
    parts = (template(f"report/{name}.js") for name in _PARTS)
    return "\n".join((licence, *libraries, "(() => {", '"use strict";', *parts, "})();", ""))


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _data(result: MeshResult, causes: tuple[FailureCause, ...]) -> dict[str, Any]:
    """Return the script's data.

    `probes` is a flat list, because a mesh has thousands: source, target, form and time (in µs, -1 if unknown).
    """
    numbers = {host.host: number for number, host in enumerate(result.hosts)}
    cause_numbers = {probe.key: number for number, cause in enumerate(causes) for probe in cause.probes}
    forms: dict[tuple[Any, ...], int] = {}
    probes: list[int] = []
    for probe in result.probes:
        form = forms.setdefault(_form(probe, cause_numbers.get(probe.key)), len(forms))
        time_us = _UNKNOWN if probe.rtt_ms is None else round(probe.rtt_ms * _US)
        probes += (numbers[probe.source], numbers[probe.target], form, time_us)
    return {
        "hosts": [_host(host) for host in result.hosts],
        "causes": [{"host": cause.host, "reason": cause.reason} for cause in causes],
        "forms": [dict(zip(_FORM, form, strict=True)) for form in forms],
        "probes": probes,
    }


_FORM = ("kind", "family", "state", "sent", "received", "ttl", "expected", "mtu", "seen", "reason", "cause")


def _form(probe: ProbeResult, cause: int | None) -> tuple[Any, ...]:
    return (
        probe.kind,
        probe.family,
        probe.state,
        probe.sent,
        probe.received,
        probe.ttl,
        probe.expected_ttl,
        probe.mtu_ok,
        str(probe.source_seen) if probe.source_seen else None,
        None if probe.ok else probe.why,
        cause,
    )


def _host(host: HostResult) -> dict[str, Any]:
    return {
        "name": host.host,
        "error": host.error,
        "underlays": [str(address) for address in (host.underlay, host.underlay6) if address],
        "prefixes": [str(prefix) for prefix in (host.prefix, host.prefix6) if prefix],
        "docker": host.docker,
        "tags": host.tags,
    }
