"""init: write a starting inventory."""

import json
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.atomic_write import write_atomic
from dockmesh.cli.init_sources import addresses_of, candidates
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, without_inventory
from dockmesh.core.addresses import IPV4
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.inventory import addresses, parse
from dockmesh.core.inventory.invalid import check_schema
from dockmesh.core.inventory.schema import ConnectionKeys, json_schema
from dockmesh.core.model import Fleet, Host, Login, Settings
from dockmesh.core.onboarding.candidates import Candidate, SourceLocation, Value
from dockmesh.core.onboarding.propose import ProposedHost, propose, propose_unread
from dockmesh.core.onboarding.render import SCHEMA, render_inventory
from dockmesh.core.results.host_errors import group_host_errors
from dockmesh.core.text import indented, listed
from dockmesh.error_codes import HostErrorCode, UsageCode
from dockmesh.errors import HostError, InvalidValueError, InventoryError, NoDockerError, UsageError
from dockmesh.report.console.proposal import print_proposed
from dockmesh.report.console.terminal import console, pluralize
from dockmesh.report.json.init import init_document

_PREFIX_LENGTH = 20
# A pool that is smaller than usual still holds 2^4 hosts.
_MIN_HOST_BITS = 4
_NAMED = 4
# In place of the underlay address, which is not known before the host was read.
_NO_ADDRESS = IPv4Address(0)


@click.command
@without_inventory
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--ssh-config", "pattern", metavar="PATTERN", help="Glob for Host entries of ~/.ssh/config.")
@click.option(
    "--ansible",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Ansible inventory to read hosts from.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("mesh.yml"),
    show_default=True,
    metavar="FILE",
    help="Inventory to write; - for stdout.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "--no-probe", "probe", flag_value=False, default=True, help="Contact no host, and propose a prefix for each."
)
@click.option("--pool", default="10.128.0.0/12", show_default=True, metavar="PREFIX", help="Pool for new prefixes.")
@click.option(
    "--connection",
    multiple=True,
    metavar="KEY=VALUE",
    help="Key of the inventory's connection section, such as become=sudo or host_key_policy=accept-new; repeatable.",
)
def init(
    options: Options,
    *,
    hosts: tuple[str, ...],
    pattern: str | None,
    ansible: Path | None,
    out: Path,
    force: bool,
    probe: bool,
    pool: str,
    connection: tuple[str, ...],
) -> int:
    """Write a starting inventory with the hosts from ~/.ssh/config, an Ansible inventory or the command line.

    HOST is [USER@]NAME[:PORT]. init reads the hosts and changes nothing on them. A host keeps its docker0 if no other
    host uses the same network. The other hosts get prefixes from the pool that overlap no network of any host.

    A host that cannot be read is in the file as a comment with the reason, and the exit status is 3. If no host can be
    read, no file is written.

    Example: dockmesh init --ssh-config 'docker*'
    """
    settings, keys = _settings(pool), _connection(connection)
    _check_target(out, force=force, json=options.json)
    chosen = _limited(options, candidates(pattern, ansible, hosts), keys)
    proposed = _propose(options, chosen, keys, settings, probe=probe)
    missing = [each for each in proposed if each.why and not each.intentional]
    if not any(each.host for each in proposed):
        groups = group_host_errors((each.name, each.why or "") for each in proposed)
        reasons = indented(f"{listed(group.hosts, _NAMED)}: {group}" for group in groups)
        raise HostError(f"no host can be read, so nothing was written:{reasons}", code=HostErrorCode.NO_HOST_LEFT)
    text = render_inventory(chosen, proposed, settings, keys)
    parse(text, file=str(out))
    _write(out, text, force=force)
    _print_result(options, proposed, out, len(missing))
    return HostError.exit_status if missing else 0


def _limited(options: Options, hosts: tuple[Candidate, ...], keys: Mapping[str, Value]) -> tuple[Candidate, ...]:
    """The candidates that --limit selects."""
    selected = options.hosts(Fleet(Settings(), tuple(_unlisted_host(each, keys) for each in hosts)))
    names = {host.name for host in selected}
    return tuple(each for each in hosts if each.name in names)


def _propose(
    options: Options, chosen: tuple[Candidate, ...], keys: Mapping[str, Value], settings: Settings, *, probe: bool
) -> tuple[ProposedHost, ...]:
    joining = tuple(each for each in chosen if each.excluded is None)
    hosts = tuple(_unlisted_host(each, keys) for each in joining)
    proposed: tuple[ProposedHost, ...] = ()
    if hosts:
        proposed = _propose_read(options, hosts, settings) if probe else _propose_unread(joining, hosts, settings)
    by_name = {each.name: each for each in proposed}
    return tuple(
        by_name.get(each.name) or ProposedHost(each.name, why=each.excluded, intentional=True) for each in chosen
    )


def _propose_read(options: Options, hosts: tuple[Host, ...], settings: Settings) -> tuple[ProposedHost, ...]:
    facts = _read(options, hosts)
    # Hosts without Docker are valid members, so they are read again without it.
    bare = tuple(host for host in hosts if isinstance(facts[host.name], NoDockerError))
    if bare:
        facts |= _read(options, tuple(_without_docker(host) for host in bare))
    try:
        return propose(hosts, facts, settings, file="init")
    except UsageError as error:
        # The networks of the hosts fill the pool. The hosts were contacted, so this is no usage error.
        raise HostError(f"{error}. Fix: a larger --pool", code=HostErrorCode.POOL_EXHAUSTED) from error


def _read(options: Options, hosts: tuple[Host, ...]) -> dict[str, HostFacts | HostError]:
    with open_run(options, unlisted=hosts) as pipeline:
        return pipeline.facts()


def _propose_unread(
    candidates: tuple[Candidate, ...], hosts: tuple[Host, ...], settings: Settings
) -> tuple[ProposedHost, ...]:
    return propose_unread(hosts, addresses_of(candidates), settings, file="init")


def _unlisted_host(each: Candidate, keys: Mapping[str, Value]) -> Host:
    """A host with nothing known but its login. The candidate's own `keys` take precedence."""
    login: dict[str, Any] = {**keys, **each.keys}
    return Host(
        each.name, _NO_ADDRESS, None, None, docker=True, login=Login(each.address, **login), tags=frozenset(each.tags)
    )


def _without_docker(host: Host) -> Host:
    return Host(host.name, host.underlay, None, None, docker=False, login=host.login)


def _settings(pool: str) -> Settings:
    try:
        network = addresses.pool(pool)
    except InvalidValueError as why:
        raise InventoryError([SourceLocation("--pool").problem(why.code, str(why))]) from why
    return Settings(
        pool=network,
        prefix_length=max(_PREFIX_LENGTH, min(network.prefixlen + _MIN_HOST_BITS, addresses.RULES[IPV4].narrowest)),
    )


def _connection(assignments: tuple[str, ...]) -> dict[str, Value]:
    """The keys of `connection` from assignments KEY=VALUE."""
    texts = dict(each.partition("=")[::2] for each in assignments)
    schema, errors = check_schema({"connection": texts})
    if errors:
        raise InventoryError([SourceLocation("--connection").problem(error.code, error.message) for error in errors])
    return {key: getattr(schema.connection, key) for key in texts if key in ConnectionKeys.model_fields}


def _check_target(out: Path, *, force: bool, json: bool) -> None:
    """Check before any host is contacted that the inventory can be written.

    Raises:
        UsageError: it cannot.
    """
    if str(out) == "-":
        if json:
            raise UsageError(
                "--json and --out - both use stdout. Fix: --out FILE",
                code=UsageCode.CONFLICTING_OPTIONS,
            )
        return
    if out.exists() and not force:
        raise UsageError(
            f"{out}: the file exists and was not changed. Fix: --out with another file, or --force to overwrite it",
            code=UsageCode.FILE_EXISTS,
        )
    if not out.parent.is_dir():
        raise UsageError(
            f"{out}: the folder {out.parent} does not exist. Fix: mkdir -p {out.parent}", code=UsageCode.NO_FOLDER
        )


def _write(out: Path, text: str, *, force: bool) -> None:
    if str(out) == "-":
        click.echo(text, nl=False)
        return
    # The file may have appeared while the hosts were read.
    _check_target(out, force=force, json=False)
    try:
        write_atomic(out, text)
        schema = out.parent / SCHEMA
        if not schema.exists():
            write_atomic(schema, json.dumps(json_schema(), indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"{out}: cannot write the inventory: {error.strerror}", code=UsageCode.CANNOT_WRITE) from error


def _print_result(options: Options, proposed: tuple[ProposedHost, ...], out: Path, missing: int) -> None:
    if options.json:
        print_json(init_document(proposed, file=str(out)))
        return
    stream = sys.stderr if str(out) == "-" else sys.stdout
    print_proposed(console(stream, color=options.color), proposed)
    hosts = pluralize(sum(each.host is not None for each in proposed), "host")
    where = "" if str(out) == "-" else f" in {out}. Next: dockmesh plan -i {out}"
    comments = f", {pluralize(missing, 'host')} as a comment: fix the reason given there" if missing else ""
    click.echo(f"{hosts}{comments}{where}", file=stream)
