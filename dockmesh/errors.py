"""Everything dockmesh raises on purpose, and the exit status each stands for.

A host's failure during a run is a value in the result, not an exception that ends it; what is raised here either
ends the run before any host was contacted or crosses the one seam between a host's thread and its result.
Codes are stable words for scripts and tests; the messages next to them may change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal


class ProblemCode(StrEnum):
    """The kinds of problems in a file, or in a value on the command line."""

    # The file as text, YAML or INI.
    SYNTAX = "syntax"
    TAB = "tab"
    NOT_UTF8 = "not-utf-8"
    BAD_CHARACTER = "bad-character"
    EMPTY_FILE = "empty-file"
    NOT_A_MAPPING = "not-a-mapping"
    SECOND_DOCUMENT = "second-document"
    DUPLICATE_KEY = "duplicate-key"
    KEY_NOT_TEXT = "key-not-text"
    BAD_MERGE = "bad-merge"
    UNKNOWN_ANCHOR = "unknown-anchor"
    UNKNOWN_YAML_TAG = "unknown-yaml-tag"
    CYCLE = "cycle"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    # Keys and the types of their values.
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    MISSING_VALUE = "missing-value"
    WRONG_TYPE = "wrong-type"
    # Single values.
    BAD_NAME = "bad-name"
    BAD_TAG = "bad-tag"
    BAD_NETNS = "bad-netns"
    BAD_JUMP = "bad-jump"
    BAD_PORTS = "bad-ports"
    BAD_HOST = "bad-host"
    BAD_RANGE = "bad-range"
    REVERSED_RANGE = "reversed-range"
    OPTION_LIKE = "option-like"
    UNKNOWN_VALUE = "unknown-value"
    NOT_A_BOOLEAN = "not-a-boolean"
    NOT_A_NUMBER = "not-a-number"
    OUT_OF_RANGE = "out-of-range"
    # Addresses and prefixes.
    BAD_ADDRESS = "bad-address"
    BAD_PREFIX = "bad-prefix"
    BAD_BRIDGE = "bad-bridge"
    BAD_LENGTH = "bad-length"
    MISSING_LENGTH = "missing-length"
    HOST_BITS = "host-bits"
    NETWORK_ADDRESS = "network-address"
    BROADCAST_ADDRESS = "broadcast-address"
    UNROUTABLE = "unroutable"
    WRONG_FAMILY = "wrong-family"
    # Values against each other.
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"
    OVERLAP = "overlap"
    COVERS_UNDERLAY = "covers-underlay"
    OUTSIDE_PREFIX = "outside-prefix"
    WIDER_THAN_PREFIX = "wider-than-prefix"
    WIDER_THAN_POOL = "wider-than-pool"
    BRIDGE_WITHOUT_DOCKER = "bridge-without-docker"
    INHERITED_ADDRESS = "inherited-address"
    # Ansible inventories.
    BAD_SECTION = "bad-section"
    BAD_VARIABLE = "bad-variable"
    BAD_CHILD = "bad-child"
    UNKNOWN_SECTION = "unknown-section"
    UNKNOWN_GROUP = "unknown-group"
    UNBALANCED_BRACKET = "unbalanced-bracket"
    UNEQUAL_DIGITS = "unequal-digits"
    BAD_STEP = "bad-step"
    TEMPLATED_VALUE = "templated-value"
    UNSUPPORTED_BECOME = "unsupported-become"


class UsageCode(StrEnum):
    """The kinds of calls that are wrong."""

    INVALID_INPUT = "invalid-input"
    # Options and arguments.
    BAD_OPTION = "bad-option"
    CONFLICTING_OPTIONS = "conflicting-options"
    MISSING_OPTION = "missing-option"
    NEEDS_YES = "needs-yes"
    NO_TERMINAL = "no-terminal"
    NO_PASSWORD = "no-password"  # noqa: S105 (a code)
    WRONG_PASSPHRASE = "wrong-passphrase"  # noqa: S105 (a code)
    # The hosts that are meant.
    NO_HOSTS = "no-hosts"
    NO_HOST_LEFT = "no-host-left"
    UNKNOWN_HOST = "unknown-host"
    UNKNOWN_TAG = "unknown-tag"
    EMPTY_TERM = "empty-term"
    BAD_PAIR = "bad-pair"
    BAD_CONTAINER = "bad-container"
    NO_DOCKER = "no-docker"
    SAME_HOST = "same-host"
    # Files.
    NO_INVENTORY = "no-inventory"
    CANNOT_READ = "cannot-read"
    CANNOT_WRITE = "cannot-write"
    NO_FOLDER = "no-folder"
    NOT_A_FILE = "not-a-file"
    SAME_FILE = "same-file"
    FILE_EXISTS = "file-exists"
    FILE_CHANGED = "file-changed"
    FILE_TOO_LARGE = "file-too-large"
    NOT_A_SAVED_PLAN = "not-a-saved-plan"
    NOT_A_RESULT = "not-a-result"
    ENCRYPTED_FILE = "encrypted-file"
    PROGRAM = "program"
    BAD_SSH_CONFIG = "bad-ssh-config"
    # Prefixes to draw.
    NO_POOL = "no-pool"
    POOL_EXHAUSTED = "pool-exhausted"
    CANNOT_INSERT = "cannot-insert"
    # Custom templates.
    UNKNOWN_TEMPLATE = "unknown-template"
    TEMPLATE_VERSION = "template-version"
    TEMPLATE_VARIABLE = "template-variable"
    BAD_TEMPLATE = "bad-template"


class LabCode(StrEnum):
    """The kinds of failures of the lab."""

    NEEDS_LINUX = "needs-linux"
    NEEDS_ROOT = "needs-root"
    NEEDS_CGROUP2 = "needs-cgroup2"
    MISSING_PROGRAMS = "missing-programs"
    NO_ARCHIVE = "no-archive"
    UNKNOWN_RELEASE = "unknown-release"
    BAD_NAME = "bad-name"
    BAD_HOST_COUNT = "bad-host-count"
    BAD_RELEASES = "bad-releases"
    UNKNOWN_HOST = "unknown-host"
    NOT_UP = "not-up"
    ALREADY_UP = "already-up"
    NOT_RUNNING = "not-running"
    COMMAND_FAILED = "command-failed"
    TIMEOUT = "timeout"
    HOST_DIED = "host-died"


class DockmeshError(Exception):
    """Root of the tree. The text is for people: what is wrong, where, and what to do."""

    exit_status: ClassVar[int] = 1
    code: str | None = None


class UsageError(DockmeshError):
    """The call or a file it names is wrong; nobody was contacted."""

    exit_status = 4

    def __init__(self, message: str, *, code: UsageCode) -> None:
        super().__init__(message)
        self.code = code


class InvalidValueError(ValueError):
    """A text that is no value of its kind. Whoever knows its place makes a Problem of it."""

    def __init__(self, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file. `line` and `column` count from 1; 0 is said of what stands on the command line."""

    file: str
    line: int
    column: int
    code: ProblemCode
    message: str

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: message`, as compilers say it and editors jump to it."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class InventoryError(UsageError):
    """The inventory is invalid; carries every problem found, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), code=UsageCode.INVALID_INPUT)


class HostErrorCode(StrEnum):
    """The kind of a host's failure, one word for each kind. Scripts may rely on the words; messages may change."""

    # The login.
    UNREACHABLE = "unreachable"
    NO_ROUTE = "no-route"
    CONNECTION_REFUSED = "connection-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    NAME_NOT_FOUND = "name-not-found"
    RESOLVER_FAILED = "resolver-failed"
    NETNS_MISSING = "netns-missing"
    NETNS_NOT_PERMITTED = "netns-not-permitted"
    NOT_SSH = "not-ssh"
    SSH_SILENT = "ssh-silent"
    SSH_FAILED = "ssh-failed"
    HOST_KEY_UNKNOWN = "host-key-unknown"
    HOST_KEY_CHANGED = "host-key-changed"
    HOST_KEY_REVOKED = "host-key-revoked"
    HOST_CERTIFICATE = "host-certificate"
    LOGIN_REFUSED = "login-refused"
    LOGIN_THROTTLED = "login-throttled"
    KEY_ENCRYPTED = "key-encrypted"
    KEY_MISSING = "key-missing"
    # The session.
    SESSION_LOST = "session-lost"
    TIMEOUT = "timeout"
    SUDO_PASSWORD = "sudo-password"  # noqa: S105 (a code)
    SUDO_PASSWORD_WRONG = "sudo-password-wrong"  # noqa: S105 (a code)
    SUDO_REFUSED = "sudo-refused"
    ANSWER_TOO_LARGE = "answer-too-large"
    ANSWER_INCOMPLETE = "answer-incomplete"
    ANSWER_UNREADABLE = "answer-unreadable"
    # The host.
    NOT_ROOT = "not-root"
    NO_SYSTEMD = "no-systemd"
    NOT_IPROUTE2 = "not-iproute2"
    ROUTES_UNREADABLE = "routes-unreadable"
    FIREWALL_UNREADABLE = "firewall-unreadable"
    FIREWALL_INCOMPATIBLE = "firewall-incompatible"
    DOCKER_MISSING = "docker-missing"
    DOCKER_STOPPED = "docker-stopped"
    DOCKER_SNAP = "docker-snap"
    DOCKER_NOT_A_UNIT = "docker-not-a-unit"
    JOINED_WITH_DOCKER = "joined-with-docker"
    CHANGE_PENDING = "change-pending"
    FILE_UNREADABLE = "file-unreadable"
    FILE_TOO_LARGE = "file-too-large"
    FILE_NOT_TEXT = "file-not-text"
    RECORD_UNREADABLE = "record-unreadable"
    # An end of a trace or of an explanation.
    NO_CONTAINER = "no-container"
    NO_CONTAINER_ADDRESS = "no-container-address"
    CAPTURE_FAILED = "capture-failed"
    CAPTURE_ENDED = "capture-ended"
    # Several hosts.
    HOSTS_UNREAD = "hosts-unread"
    NO_HOST_LEFT = "no-host-left"
    POOL_EXHAUSTED = "pool-exhausted"
    STALE_PLAN = "stale-plan"


@dataclass(frozen=True, slots=True)
class HostFailure:
    """Why a host failed, as a value in a result. `code` is a HostErrorCode, or what a run found by probing the host."""

    code: str
    message: str

    def __str__(self) -> str:
        """The message."""
        return self.message


class HostError(DockmeshError):
    """One host failed, was refused or could not be reached; the text names cause and remedy."""

    exit_status = 3
    code: HostErrorCode

    def __init__(self, message: str, *, code: HostErrorCode) -> None:
        super().__init__(message)
        self.code = code

    @property
    def failure(self) -> HostFailure:
        """The error as a value."""
        return HostFailure(self.code, str(self))


class UnreachableError(HostError):
    """No SSH session to the host came about, or it was lost."""

    def __init__(self, message: str, *, code: HostErrorCode = HostErrorCode.UNREACHABLE) -> None:
        super().__init__(message, code=code)


class NoDockerError(HostError):
    """The host can be worked with, but has no Docker."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=HostErrorCode.DOCKER_MISSING)


@dataclass(frozen=True, slots=True)
class StaleReason:
    """One thing that differs from what a saved plan was made from. `host` is None where it concerns the whole fleet."""

    code: Literal["inventory-changed", "templates-changed", "host-changed", "not-in-plan", "only-in-plan"]
    host: str | None
    message: str


class StalePlanError(HostError):
    """A saved plan no longer holds; carries every reason."""

    def __init__(self, message: str, *, file: str, reasons: Sequence[StaleReason]) -> None:
        super().__init__(message, code=HostErrorCode.STALE_PLAN)
        self.file = file
        self.reasons = tuple(reasons)


class LabError(DockmeshError):
    """The lab cannot do what was asked of it on this machine."""

    exit_status = 3

    def __init__(self, message: str, *, code: LabCode) -> None:
        super().__init__(message)
        self.code = code
