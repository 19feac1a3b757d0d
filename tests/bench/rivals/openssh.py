"""OpenSSH, 32 at once, started by xargs: the floor (curve25519), with the facts read first, and as installed."""

from collections.abc import Callable

from tests.bench.fleet import Fleet
from tests.bench.rivals.tool import Command, Tool

FLOOR, FACTS, STOCK = "openssh", "openssh-facts", "openssh-stock"
FORKS = 32
_READ = 'exec ssh -F {config} HOST "sh -s" <read/HOST >facts/HOST'
_BATCH = 'exec ssh -F {config} HOST "ip -force -batch -" <batch/HOST'
_BOTH = f"{_READ.removeprefix('exec ')} && {_BATCH}"
_CONFIG = """\
Host *
  User root
  IdentityFile {access}/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile {access}/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
"""


def tools() -> tuple[Tool, ...]:
    """The three. Facts: the very script dockmesh reads a host by; batch: the host's routes in one call of ip."""
    read, batch, both = (_each(text.format(config="tuned")) for text in (_READ, _BATCH, _BOTH))
    stock_read, stock_batch = (_each(text.format(config="stock")) for text in (_READ, _BATCH))
    return (
        Tool(FLOOR, {"read": read, "recheck": read, "apply": batch}, write_config),
        Tool(FACTS, {"apply": both}, write_config),
        Tool(STOCK, {"read": stock_read, "apply": stock_batch}, write_config),
    )


def write_config(fleet: Fleet) -> None:
    """Both configurations: they differ in the key exchange alone."""
    text = _CONFIG.format(access=fleet.access)
    (fleet.folder / "stock").write_text(text)
    (fleet.folder / "tuned").write_text(f"{text}  KexAlgorithms curve25519-sha256\n")


def _each(script: str) -> Command:
    argv = ("xargs", "-a", "addresses", "-P", str(FORKS), "-I", "HOST", "sh", "-c", script)
    command: Callable[[Fleet], tuple[str, ...]] = lambda _fleet: argv  # noqa: E731
    return command
