"""A small process that starts another and measures it: `python -I -S launch.py RESULT COMMAND…`.

Not the bench itself: a process begins with the memory that its parent had, and keeps that as its peak. RESULT gets when
it began (as time.monotonic counts), seconds, KiB of the largest process and exit status.
"""

import os
import sys
import time


def main(result: str, argv: list[str]) -> None:
    """Run it to its end."""
    begun = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    _pid, status, usage = os.wait4(pid, 0)
    wall_s = time.monotonic() - begun
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123 (pathlib would double the memory)
        file.write(f"{begun} {wall_s} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")


main(sys.argv[1], sys.argv[2:])
