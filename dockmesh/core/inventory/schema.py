"""Schema of the inventory: its keys, with their types, defaults and descriptions.

Values arrive as text and leave parsed. `validate` checks keys against each other (missing keys, duplicates, overlaps).
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
    Mark,
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
    """The inventory's JSON Schema (draft 2020-12), for editors and external checks."""
    schema = InventoryKeys.model_json_schema()
    schema["properties"]["hosts"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "dockmesh inventory",
    }


def _tidy(schema: dict[str, Any]) -> None:
    """Drop the defaults that only mean that a key may be absent."""
    for entry in schema["properties"].values():
        if not isinstance(entry.get("default"), bool | int | str):
            entry.pop("default", None)


def _tidy_host(schema: dict[str, Any]) -> None:
    _tidy(schema)
    schema["required"] = ["address"]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_tidy)


class MeshKeys(_Keys):
    """Settings of the whole mesh."""

    name: MeshName = Field(default=_DEFAULTS.name, description="Name of the mesh.")
    pool: Pool = Field(default=None, description="Pool from which `allocate` draws prefixes for hosts that have none.")
    prefix_length: PrefixLength = Field(
        default=_DEFAULTS.prefix_length, description="Length of the prefixes that `allocate` draws."
    )
    source_nat: Bool = Field(
        default=_DEFAULTS.source_nat,
        description="false: peers see a container's own address. true: they see its host's (Docker's masquerade).",
    )
    pool_size: PoolSize = Field(
        default=_DEFAULTS.pool_size, description="Length of the prefixes that Docker assigns to new networks of a host."
    )
    allow: tuple[Allowed, ...] | None = Field(
        default=None,
        description="Protocols and ports that peers may reach: tcp, udp/53, tcp/8000-8099. ICMP is always accepted. "
        "Default: everything.",
    )
    confirm_within: Seconds = Field(
        default=_DEFAULTS.confirm_within_s,
        description="Seconds until a changed host that receives no confirmation reverts its change.",
    )
    mark: Mark = Field(
        default=_DEFAULTS.mark,
        description="Bit of the packet mark that dockmesh uses on the hosts: 0x1000, or another single bit.",
    )


class ConnectionKeys(_Keys):
    """SSH connection settings of the hosts; ~/.ssh/config supplies missing ones."""

    user: Word = Field(default=None, description="User to log in as.")
    port: Port = Field(default=None, description="Port of the SSH server.")
    identity_file: Word = Field(
        default=None, description="Private key for the login; a leading ~ is the home directory."
    )
    known_hosts: Word = Field(default=None, description="File of trusted host keys; a leading ~ is the home directory.")
    host_key_policy: Policy = Field(
        default=None,
        description="Reject unknown host keys (strict, the default) or add them to known_hosts (accept-new).",
    )
    become: Become = Field(
        default=None,
        description="none (default): log in as root. sudo: change the host with sudo; -K asks for a password.",
    )
    jump: Jump = Field(default=None, description="Jump hosts, comma-separated [USER@]HOST[:PORT]; or none.")
    netns: Netns = Field(default=None, description="Network namespace on the controller in which to open SSH sockets.")


class HostKeys(ConnectionKeys):
    """One host. It may override any key of `connection`."""

    # Required, but checked in `validate`: pydantic would drop the whole host if it were missing.
    address: Address = Field(
        default=None, description="SSH address: an IPv4 address, or a name for DNS or ~/.ssh/config."
    )
    underlay: Underlay = Field(
        default=None, description="IPv4 address that peers use as the next hop. Default: address."
    )
    prefix: Prefix = Field(
        default=None, description="IPv4 prefix that peers route to this host; it contains the container networks."
    )
    bridge: Bridge = Field(
        default=None, description="Address and length of docker0. Default: first address of the prefix, /24."
    )
    underlay6: Underlay6 = Field(
        default=None,
        description="IPv6 address that peers use as the next hop. Without it, the host takes no part in IPv6.",
    )
    prefix6: Prefix6 = Field(default=None, description="IPv6 prefix that peers route to this host.")
    bridge6: Bridge6 = Field(
        default=None, description="IPv6 address and length of docker0. Default: first address of prefix6, /64."
    )
    docker: Bool = Field(
        default=True, description="false: the host has no Docker; it only gets the routes to its peers."
    )
    allow: tuple[Allowed, ...] | None = Field(
        default=None, description="Protocols and ports that peers may reach on this host; overrides `allow` of `mesh`."
    )
    tags: frozenset[Tag] = Field(default=frozenset(), description="Groups of the host, for --limit tag:NAME.")

    model_config = ConfigDict(json_schema_extra=_tidy_host)


class InventoryKeys(_Keys):
    """A fleet: settings of the mesh, SSH connection settings and hosts."""

    mesh: Annotated[MeshKeys, EMPTY_IF_NULL] = Field(
        default=MeshKeys(), description="Name, pool and settings of the mesh."
    )
    connection: Annotated[ConnectionKeys, EMPTY_IF_NULL] = Field(
        default=ConnectionKeys(),
        description="SSH connection settings of the hosts; a host may override each key.",
    )
    hosts: Annotated[dict[HostName, HostKeys], EMPTY_IF_NULL] = Field(default={}, description="The hosts by name.")
