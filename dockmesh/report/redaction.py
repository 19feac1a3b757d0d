"""What is kept out of logs and off the screen: files that go to hosts, and what hosts say, may hold passwords."""

import re

_HIDDEN = "***"
# A file in a script: lines of base64 in a here-document. That of Docker may name a proxy with its password.
_FILE = re.compile(r"^(?:[A-Za-z0-9+/]{76}\n)*[A-Za-z0-9+/]{2,76}={0,2}\n(?=END_OF_INPUT$)", re.MULTILINE)
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)")
_NAMED = re.compile(
    r"""((?:password|passwd|passphrase|secret|token)\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;\\]+""", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text without what is nobody's business: files are told by their size, passwords by stars."""
    text = _FILE.sub(_size, text)
    return _NAMED.sub(rf"\1{_HIDDEN}", _IN_ADDRESS.sub(rf"\1{_HIDDEN}", text))


def _size(found: re.Match[str]) -> str:
    content = found[0].replace("\n", "")
    return f"[a file of {len(content) * 3 // 4 - content.count('=')} bytes]\n"
