"""Look-up of this machine's Debian mirror, from which the lab builds its hosts too."""

from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.process import run

_FIELDS = "$(LABEL)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
_OS_RELEASE = Path("/etc/os-release")


def mirror() -> str:
    """URL of the Debian archive in this machine's apt sources."""
    listed = run(("apt-get", "indextargets", "--format", _FIELDS)).stdout
    url = choose(listed, codename(_OS_RELEASE.read_text()))
    if url is None:
        raise LabError(
            "the apt sources of this machine have no Debian archive with its own release and the component main",
            code=LabCode.NO_ARCHIVE,
        )
    return url


def choose(listed: str, release: str) -> str | None:
    """Choose the archive among apt's index targets, one per line: component main of the machine's own release.

    Apt knows the label only after it has fetched its lists; a target with the label Debian is preferred.
    """
    targets = [line.split("|") for line in listed.splitlines()]
    main = [target for target in targets if target[1:3] == [release, "main"]]
    main.sort(key=lambda target: target[0] != "Debian")
    return main[0][3] if main else None


def codename(os_release: str) -> str:
    """VERSION_CODENAME of /etc/os-release; empty if the distribution has none."""
    pairs = (line.partition("=") for line in os_release.splitlines())
    return next((value.strip('"') for key, _, value in pairs if key == "VERSION_CODENAME"), "")
