"""Names of what dockmesh owns or edits on a host."""

from collections.abc import Sequence
from itertools import pairwise

DAEMON_JSON = "/etc/docker/daemon.json"
ORIGINAL_JSON = "/etc/dockmesh/original.json"
REASSERT_SCRIPT = "/etc/dockmesh/reassert.sh"
# A revert by the host itself leaves this file until the next confirmed change.
REVERTED_RECORD = "/etc/dockmesh/reverted"
UNITS = ("dockmesh.service", "dockmesh.timer")
# The chains that may contain a rule of dockmesh, with their tables, and the comment of these rules.
ACCEPT_CHAINS = {"DOCKER-USER": "filter", "FORWARD": "filter", "PREROUTING": "raw"}
COMMENT = "dockmesh"
DOCKER_BRIDGE = "docker0"
# A route is owned only if both its protocol and its metric match.
ROUTE_PROTOCOL = "201"
ROUTE_METRIC = 4201


def is_owned_route(words: Sequence[str]) -> bool:
    """Whether the words of an `ip route` command or listing have dockmesh's protocol and metric."""
    pairs = set(pairwise(words))
    return {("proto", ROUTE_PROTOCOL), ("metric", str(ROUTE_METRIC))} <= pairs
