"""An Ansible inventory -> the hosts in it."""

import re

from dockmesh.core.onboarding import ansible_groups, ansible_ini, ansible_yaml
from dockmesh.core.onboarding.candidates import Candidate
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_YAML = (".yml", ".yaml", ".json")
# A file without a name that tells: its first line that is no comment is a mapping's.
_LOOKS_LIKE_YAML = re.compile(r"(?:\s*(?:#[^\n]*)?\n)*(?:---|\{|[\w.-]+:\s*(?:#[^\n]*)?(?:\n|$))")


def parse_ansible(text: str, *, file: str) -> list[Candidate]:
    """The hosts, in the file's order.

    Raises:
        UsageError: all that is wrong, with line and column.
    """
    if text.startswith("$ANSIBLE_VAULT"):
        raise UsageError(
            f"{file}: encrypted by ansible-vault: decrypt it first (ansible-vault view)", code=UsageCode.ENCRYPTED_FILE
        )
    if text.startswith("#!"):
        raise UsageError(
            f"{file}: a program; what it says as a file: ansible-inventory -i {file} --list --yaml",
            code=UsageCode.PROGRAM,
        )
    yaml = file.lower().endswith(_YAML) or _LOOKS_LIKE_YAML.match(text)
    return ansible_groups.candidates((ansible_yaml if yaml else ansible_ini).parse(text, file=file))
