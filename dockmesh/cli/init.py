"""`init`: an inventory to begin with."""

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

_LENGTH = 20
# Sixteen hosts at least.
_SHARE = 4
_NAMED = 4
_NOBODY = IPv4Address(0)


@click.command
@without_inventory
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--ssh-config", "pattern", metavar="PATTERN", help="Host entries of ~/.ssh/config that match this glob.")
@click.option(
    "--ansible", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="An Ansible inventory."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("mesh.yml"),
    show_default=True,
    metavar="FILE",
    help="Where to write it; - is stdout.",
)
@click.option("--force", is_flag=True, help="Overwrite that file.")
@click.option("--no-probe", "probe", flag_value=False, default=True, help="Contact no host: draw prefixes for all.")
@click.option(
    "--pool", default="10.128.0.0/12", show_default=True, metavar="PREFIX", help="What to draw prefixes from."
)
@click.option(
    "--connection",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the inventory's connection, as in become=sudo or host_key_policy=accept-new; also several times.",
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
    """Write an inventory to begin with, of the hosts that ~/.ssh/config, an Ansible inventory or HOST names.

    HOST is [USER@]NAME[:PORT]. Hosts are read as plan reads them: docker0 stays where its network is apart from
    everybody's, and the others get prefixes out of the pool that overlap nothing the hosts have. Nothing is changed on
    them. A host that cannot be read stands in the file as a comment, with the reason; then this exits 3. Where none can
    be read, nothing is written.

    Example: dockmesh init --ssh-config 'docker*'
    """
    settings, given = _settings(pool), _connection(connection)
    _refuse(out, force=force, json=options.json)
    found = _chosen(options, candidates(pattern, ansible, hosts), given)
    proposed = _proposed(options, found, given, settings, probe=probe)
    lost = [each for each in proposed if each.why and not each.intentional]
    if not any(each.host for each in proposed):
        groups = group_host_errors((each.name, each.why or "") for each in proposed)
        reasons = indented(f"{listed(group.hosts, _NAMED)}: {group}" for group in groups)
        raise HostError(
            f"no host is left to begin with, and nothing was written:{reasons}", code=HostErrorCode.NO_HOST_LEFT
        )
    text = render_inventory(found, proposed, settings, given)
    parse(text, file=str(out))
    _write(out, text, force=force)
    _tell(options, proposed, out, len(lost))
    return HostError.exit_status if lost else 0


def _chosen(options: Options, found: tuple[Candidate, ...], given: Mapping[str, Value]) -> tuple[Candidate, ...]:
    """Those that --limit leaves."""
    limited = options.hosts(Fleet(Settings(), tuple(_stranger(each, given) for each in found)))
    names = {host.name for host in limited}
    return tuple(each for each in found if each.name in names)


def _proposed(
    options: Options, found: tuple[Candidate, ...], given: Mapping[str, Value], settings: Settings, *, probe: bool
) -> tuple[ProposedHost, ...]:
    joining = tuple(each for each in found if each.excluded is None)
    hosts = tuple(_stranger(each, given) for each in joining)
    known: tuple[ProposedHost, ...] = ()
    if hosts:
        known = _asked(options, hosts, settings) if probe else _unasked(joining, hosts, settings)
    by_name = {each.name: each for each in known}
    return tuple(
        by_name.get(each.name) or ProposedHost(each.name, why=each.excluded, intentional=True) for each in found
    )


def _asked(options: Options, hosts: tuple[Host, ...], settings: Settings) -> tuple[ProposedHost, ...]:
    read = _read(options, hosts)
    # Those without Docker can be read all the same.
    bare = tuple(host for host in hosts if isinstance(read[host.name], NoDockerError))
    if bare:
        read |= _read(options, tuple(_without_docker(host) for host in bare))
    try:
        return propose(hosts, read, settings, file="init")
    except UsageError as error:
        # What is too much is the hosts', and they were contacted.
        raise HostError(f"{error}; here: --pool", code=HostErrorCode.POOL_EXHAUSTED) from error


def _read(options: Options, hosts: tuple[Host, ...]) -> dict[str, HostFacts | HostError]:
    with open_run(options, unlisted=hosts) as pipeline:
        return pipeline.facts()


def _unasked(found: tuple[Candidate, ...], hosts: tuple[Host, ...], settings: Settings) -> tuple[ProposedHost, ...]:
    return propose_unread(hosts, addresses_of(found), settings, file="init")


def _stranger(each: Candidate, given: Mapping[str, Value]) -> Host:
    """A host of which no more is known than how to log in."""
    login: dict[str, Any] = {**given, **each.keys}
    return Host(
        each.name, _NOBODY, None, None, docker=True, login=Login(each.address, **login), tags=frozenset(each.tags)
    )


def _without_docker(host: Host) -> Host:
    return Host(host.name, host.underlay, None, None, docker=False, login=host.login)


def _settings(pool: str) -> Settings:
    try:
        network = addresses.pool(pool)
    except InvalidValueError as why:
        raise InventoryError([SourceLocation("--pool").problem(why.code, str(why))]) from why
    return Settings(
        pool=network, prefix_length=max(_LENGTH, min(network.prefixlen + _SHARE, addresses.RULES[IPV4].narrowest))
    )


def _connection(given: tuple[str, ...]) -> dict[str, Value]:
    words = dict(each.partition("=")[::2] for each in given)
    keys, faults = check_schema({"connection": words})
    if faults:
        raise InventoryError([SourceLocation("--connection").problem(fault.code, fault.message) for fault in faults])
    return {key: getattr(keys.connection, key) for key in words if key in ConnectionKeys.model_fields}


def _refuse(out: Path, *, force: bool, json: bool) -> None:
    """Before anybody is contacted."""
    if str(out) == "-":
        if json:
            raise UsageError(
                "--json and the inventory cannot both go to stdout: name a file with --out",
                code=UsageCode.CONFLICTING_OPTIONS,
            )
        return
    if out.exists() and not force:
        raise UsageError(
            f"{out} is there already, and stays: name another file with --out, or --force", code=UsageCode.FILE_EXISTS
        )
    if not out.parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}: make it first", code=UsageCode.NO_FOLDER)


def _write(out: Path, text: str, *, force: bool) -> None:
    if str(out) == "-":
        click.echo(text, nl=False)
        return
    _refuse(out, force=force, json=False)
    try:
        write_atomic(out, text)
        schema = out.parent / SCHEMA
        if not schema.exists():
            write_atomic(schema, json.dumps(json_schema(), indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"{out}: {error.strerror}: the inventory could not be written", code=UsageCode.CANNOT_WRITE
        ) from error


def _tell(options: Options, proposed: tuple[ProposedHost, ...], out: Path, lost: int) -> None:
    if options.json:
        print_json(init_document(proposed, file=str(out)))
        return
    stream = sys.stderr if str(out) == "-" else sys.stdout
    print_proposed(console(stream, color=options.color), proposed)
    hosts = pluralize(sum(each.host is not None for each in proposed), "host")
    where = "" if str(out) == "-" else f" in {out}. Next: dockmesh plan -i {out}"
    missing = f", {pluralize(lost, 'host')} left out as a comment: mend what is said of it" if lost else ""
    click.echo(f"{hosts}{missing}{where}", file=stream)
