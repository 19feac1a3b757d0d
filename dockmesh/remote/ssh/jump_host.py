"""Jump hosts, whose login all hosts behind them share. A failed login is not repeated for each host."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fabric import Connection
from paramiko import SSHException


@dataclass(eq=False, slots=True)
class JumpHost:
    """A connection that carries others. The first of them opens it. A failure applies to all of them."""

    connection: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: Exception | None = None
    until_s: float = 0

    def open(self, connect: Callable[[Connection], None], again_after_s: float) -> None:
        """Open the connection unless it is open.

        Raises:
            OSError, EOFError, paramiko.SSHException: the login failed now, or within the last `again_after_s` seconds.
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
