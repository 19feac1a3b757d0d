"""The inventory's keys: what each takes and what it means.

Values arrive as the text that was written and leave as what dockmesh works with. What one value alone cannot
tell (missing keys, duplicates, overlaps) is for `checks`.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from dockmesh.core.inventory.key_types import (
    EMPTY_IF_NULL,
    Address,
    Allowed,
    Become,
    Bool,
    Bridge,
    Bridge6,
    HostName,
    Jump,
    MeshName,
    Netns,
    Policy,
    Pool,
    PoolSize,
    Port,
    Prefix,
    Prefix6,
    PrefixLength,
    Seconds,
    Tag,
    Underlay,
    Underlay6,
    Word,
)
from dockmesh.core.model import Settings

_DEFAULTS = Settings()


def json_schema() -> dict[str, Any]:
    """The inventory's JSON Schema (draft 2020-12), for editors and outside checks."""
    schema = InventoryKeys.model_json_schema()
    schema["properties"]["hosts"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "dockmesh inventory",
    }


def _tidy(schema: dict[str, Any]) -> None:
    """Drop the defaults that say no more than that a key may be absent."""
    for entry in schema["properties"].values():
        if not isinstance(entry.get("default"), bool | int | str):
            entry.pop("default", None)


def _tidy_host(schema: dict[str, Any]) -> None:
    _tidy(schema)
    schema["required"] = ["address"]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_tidy)


class MeshKeys(_Keys):
    """What holds for the whole mesh."""

    name: MeshName = Field(default=_DEFAULTS.name, description="Name of the mesh.")
    pool: Pool = Field(
        default=None, description="Prefix out of which `allocate` draws prefixes for hosts that lack one."
    )
    prefix_length: PrefixLength = Field(
        default=_DEFAULTS.prefix_length, description="Length of the prefixes that `allocate` draws."
    )
    source_nat: Bool = Field(
        default=_DEFAULTS.source_nat,
        description="false: peers see a container's own address. true: Docker's masquerade hides it behind the host's.",
    )
    pool_size: PoolSize = Field(
        default=_DEFAULTS.pool_size, description="Length of the prefixes that Docker gives to new networks of a host."
    )
    allow: tuple[Allowed, ...] | None = Field(
        default=None,
        description="What peers may reach: tcp, udp/53, tcp/8000-8099; ICMP always. Default: everything.",
    )
    confirm_within: Seconds = Field(
        default=_DEFAULTS.confirm_within_s,
        description="Seconds after which a changed host that hears no confirmation reverts by itself.",
    )


class ConnectionKeys(_Keys):
    """How SSH reaches the hosts; what is left out is left to ~/.ssh/config."""

    user: Word = Field(default=None, description="User to log in as.")
    port: Port = Field(default=None, description="Port of the SSH server.")
    identity_file: Word = Field(
        default=None, description="Private key to log in with; a leading ~ is the home directory."
    )
    known_hosts: Word = Field(
        default=None, description="File of host keys to trust; a leading ~ is the home directory."
    )
    host_key_policy: Policy = Field(
        default=None,
        description="Unknown host keys are refused (strict, the default) or learned (accept-new).",
    )
    become: Become = Field(
        default=None, description="none (default): log in as root; sudo: change the host by sudo, with -K by password."
    )
    jump: Jump = Field(
        default=None, description="Host to go through: [USER@]HOST[:PORT], several comma-separated; or none."
    )
    netns: Netns = Field(default=None, description="Network namespace of this machine in which SSH sockets are opened.")


class HostKeys(ConnectionKeys):
    """One host. A key of `connection` may stand here too and goes before the one there."""

    # Required; `checks` says so, since pydantic would withhold the whole host where it is missing.
    address: Address = Field(
        default=None, description="Where SSH goes: an IPv4 address, or a name for DNS or ~/.ssh/config."
    )
    underlay: Underlay = Field(default=None, description="IPv4 address the peers use as next hop; default: address.")
    prefix: Prefix = Field(
        default=None, description="What the peers route to this host; its container networks lie in it."
    )
    bridge: Bridge = Field(
        default=None, description="docker0's address and length; default: the prefix's first address, /24."
    )
    underlay6: Underlay6 = Field(
        default=None, description="IPv6 address the peers use as next hop; without it, the host has no part in IPv6."
    )
    prefix6: Prefix6 = Field(default=None, description="What the peers route to this host of IPv6.")
    bridge6: Bridge6 = Field(
        default=None, description="docker0's IPv6 address and length; default: the first address of prefix6, /64."
    )
    docker: Bool = Field(default=True, description="false: a host without Docker, which gets the routes to the peers.")
    allow: tuple[Allowed, ...] | None = Field(
        default=None, description="What peers may reach on this host, instead of what `mesh` says."
    )
    tags: frozenset[Tag] = Field(default=frozenset(), description="Groups, for --limit tag:NAME.")

    model_config = ConfigDict(json_schema_extra=_tidy_host)


class InventoryKeys(_Keys):
    """A fleet: the mesh, how SSH reaches the hosts, and the hosts."""

    mesh: Annotated[MeshKeys, EMPTY_IF_NULL] = Field(
        default=MeshKeys(), description="Name, pool and settings of the mesh."
    )
    connection: Annotated[ConnectionKeys, EMPTY_IF_NULL] = Field(
        default=ConnectionKeys(),
        description="How SSH reaches the hosts; a host may override each key.",
    )
    hosts: Annotated[dict[HostName, HostKeys], EMPTY_IF_NULL] = Field(default={}, description="The hosts by name.")
