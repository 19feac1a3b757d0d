"""The redaction of passwords and file contents in logs and on the screen."""

import re

_HIDDEN = "***"
# A file in a script: lines of base64 in a here-document. daemon.json can contain the password of a proxy.
_FILE = re.compile(r"^(?:[A-Za-z0-9+/]{76}\n)*[A-Za-z0-9+/]{2,76}={0,2}\n(?=END_OF_INPUT$)", re.MULTILINE)
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)")
_NAMED = re.compile(
    r"""((?:password|passwd|passphrase|secret|token)\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;\\]+""", re.IGNORECASE
)


def redact(text: str) -> str:
    """Replace files by their size and passwords by asterisks."""
    text = _FILE.sub(_size, text)
    return _NAMED.sub(rf"\1{_HIDDEN}", _IN_ADDRESS.sub(rf"\1{_HIDDEN}", text))


def _size(match: re.Match[str]) -> str:
    content = match[0].replace("\n", "")
    return f"[a file of {len(content) * 3 // 4 - content.count('=')} bytes]\n"
