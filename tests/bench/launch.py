"""A small process that starts a command and measures it: `python -I -S launch.py RESULT COMMAND…`.

A separate launcher is necessary, because a new process counts the memory of its parent in its peak. RESULT gets the
start time (of time.monotonic), the seconds, the KiB of the largest process and the exit status.
"""

import os
import sys
import time


def main(result: str, argv: list[str]) -> None:
    """Run the command to its end and write its figures."""
    begun = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    _pid, status, usage = os.wait4(pid, 0)
    wall_s = time.monotonic() - begun
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123 (pathlib would double the memory)
        file.write(f"{begun} {wall_s} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")


main(sys.argv[1], sys.argv[2:])
