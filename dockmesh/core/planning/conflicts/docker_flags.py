"""Flags of dockerd that conflict with daemon.json."""

from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.planning.findings import Conflict, ConflictCode


def flag_conflict(argument: str, docker: DockerFacts) -> Conflict:
    """Return the conflict of a dockerd argument that sets a key of daemon.json."""
    message = f"dockerd is started with {argument}, which daemon.json cannot override"
    return Conflict(ConflictCode.DOCKER_FLAG, "docker", message, flag_remedy(docker))


def flag_remedy(docker: DockerFacts) -> str:
    """Return the remedy that removes a flag of dockerd."""
    return f"remove the flag from {docker.fragment or 'its unit'} or its drop-ins"
