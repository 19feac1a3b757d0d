"""A result as one page that needs nothing else: graph, heat map and details, drawn by the script within.

The page asks for nothing and runs nothing but its own script, as its policy (CSP) says; what hosts say is data there.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from dockmesh.assets import source, template
from dockmesh.core.results.group import FailureCause, group_by_cause
from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult, count
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.report.console.terminal import pluralize
from dockmesh.report.probe_text import probes_text

_LIBRARIES = ("d3-path", "d3-shape", "d3-hierarchy", "d3-selection")
_PARTS = ("model", "heatmap", "graph", "details", "page")
_FEW, _SOME = 6, 12
_UNKNOWN = -1
_US = 1000


_PAGE = "report/page.html.j2"


def render(result: MeshResult) -> str:
    """The page.

    Raises:
        UsageError: the template, a user's own, takes something for what it is not.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    found, script, style = group_by_cause(result), _script(), template("report/page.css")
    variables = {
        "result": result,
        "heading": _heading(result),
        "size_class": _size(len(result.hosts)),
        "causes": [_shown(cause) for cause in found],
        "data": _data(result, found),
        "script": script,
        "style": style,
        "script_hash": _hash(script),
        "style_hash": _hash(style),
    }
    try:
        return environment.from_string(template(_PAGE)).render(variables)
    except TemplateError as error:
        raise UsageError(f"{source(_PAGE)}: {error}", code=UsageCode.BAD_TEMPLATE) from error


def _heading(result: MeshResult) -> str:
    total = f"{len(result.probes):,} probe" + "s" * (len(result.probes) != 1)
    if result.ok:
        return f"All {total} reached" if result.probes else "Nothing to probe"
    counts = ((count(result.failed, "failed"), "failed"), (count(result.failed, "unmade"), "could not be made"))
    of_them = " and ".join(f"{many:,} {what}" for many, what in counts if many)
    return f"Of {total}, {of_them}" if of_them else f"{pluralize(len(result.errors), 'host')} could not be asked"


def _size(hosts: int) -> str:
    """How much room a host has: for words side by side, for words one below the other, or for a spot of colour."""
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


def _data(result: MeshResult, found: tuple[FailureCause, ...]) -> dict[str, Any]:
    """What the script draws. Probes come by the thousand and are alike: each is source, target, form and time."""
    names = {each.host: number for number, each in enumerate(result.hosts)}
    causes = {probe.key: number for number, cause in enumerate(found) for probe in cause.probes}
    forms: dict[tuple[Any, ...], int] = {}
    probes: list[int] = []
    for probe in result.probes:
        form = forms.setdefault(_form(probe, causes.get(probe.key)), len(forms))
        time_us = _UNKNOWN if probe.rtt_ms is None else round(probe.rtt_ms * _US)
        probes += (names[probe.source], names[probe.target], form, time_us)
    return {
        "hosts": [_host(each) for each in result.hosts],
        "causes": [{"host": cause.host, "reason": cause.reason} for cause in found],
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


def _host(each: HostResult) -> dict[str, Any]:
    return {
        "name": each.host,
        "error": each.error,
        "underlays": [str(one) for one in (each.underlay, each.underlay6) if one],
        "prefixes": [str(one) for one in (each.prefix, each.prefix6) if one],
        "docker": each.docker,
        "tags": each.tags,
    }
