"""Where this machine gets its Debian packages from: the lab's hosts come from the same place."""

from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.process import run

_FIELDS = "$(LABEL)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
_OS_RELEASE = Path("/etc/os-release")


def mirror() -> str:
    """The archive's address, from the machine's apt sources."""
    listed = run(("apt-get", "indextargets", "--format", _FIELDS)).stdout
    found = choose(listed, codename(_OS_RELEASE.read_text()))
    if found is None:
        raise LabError(
            "the apt sources of this machine name no Debian archive for its own release, component main",
            code=LabCode.NO_ARCHIVE,
        )
    return found


def choose(listed: str, release: str) -> str | None:
    """The archive among apt's index targets, one a line: the main component of the machine's own release.

    The label is known only once apt has fetched its lists; where it is, it has the last word.
    """
    targets = [line.split("|") for line in listed.splitlines()]
    main = [target for target in targets if target[1:3] == [release, "main"]]
    main.sort(key=lambda target: target[0] != "Debian")
    return main[0][3] if main else None


def codename(os_release: str) -> str:
    """VERSION_CODENAME of /etc/os-release; empty where the distribution has none."""
    pairs = (line.partition("=") for line in os_release.splitlines())
    return next((value.strip('"') for key, _, value in pairs if key == "VERSION_CODENAME"), "")
