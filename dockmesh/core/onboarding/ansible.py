"""Parser of Ansible inventories, in either format."""

import re

from dockmesh.core.onboarding import ansible_groups, ansible_ini, ansible_yaml
from dockmesh.core.onboarding.candidates import Candidate
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_YAML = (".yml", ".yaml", ".json")
# For files without a telling extension: the first line that is not a comment starts a mapping.
_LOOKS_LIKE_YAML = re.compile(r"(?:\s*(?:#[^\n]*)?\n)*(?:---|\{|[\w.-]+:\s*(?:#[^\n]*)?(?:\n|$))")


def parse_ansible(text: str, *, file: str) -> list[Candidate]:
    """Parse the hosts of an Ansible inventory, in the order of the file.

    Raises:
        UsageError: every problem, with line and column.
    """
    if text.startswith("$ANSIBLE_VAULT"):
        raise UsageError(
            f"{file}: encrypted with ansible-vault. Fix: decrypt it first: ansible-vault view {file}",
            code=UsageCode.ENCRYPTED_FILE,
        )
    if text.startswith("#!"):
        raise UsageError(
            f"{file}: a program, not an inventory file. Fix: write its output to a file: "
            f"ansible-inventory -i {file} --list --yaml",
            code=UsageCode.PROGRAM,
        )
    yaml = file.lower().endswith(_YAML) or _LOOKS_LIKE_YAML.match(text)
    return ansible_groups.candidates((ansible_yaml if yaml else ansible_ini).parse(text, file=file))
