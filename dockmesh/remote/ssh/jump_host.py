"""A jump host: all hosts behind it share one login. If that login fails, the hosts do not each wait for it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fabric import Connection
from paramiko import SSHException


@dataclass(eq=False, slots=True)
class JumpHost:
    """A connection through which others go. The first that needs it opens it. A failure counts for all of them."""

    connection: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: Exception | None = None
    until_s: float = 0

    def open(self, connect: Callable[[Connection], None], again_after_s: float) -> None:
        """Open the connection, if it is not open.

        Raises:
            OSError, EOFError, paramiko.SSHException: the login failed now, or within the last `again_after_s`.
        """
        with self.lock:
            if self.connection.is_connected:
                return
            if self.failed and time.monotonic() < self.until_s:
                raise self.failed
            try:
                connect(self.connection)
            except (OSError, EOFError, SSHException) as error:
                self.failed, self.until_s = error, time.monotonic() + again_after_s
                raise
            self.failed = None
