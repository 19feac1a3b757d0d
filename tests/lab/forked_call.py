"""Calls of dockmesh in processes that are forked from one that has imported it.

The imports take most of the CPU time of a call. Arguments, environment, streams and exit status are those of a new
process. Tests that interrupt dockmesh start new processes.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

import dockmesh.cli

_VERBS = ("allocate", "apply", "explain", "init", "plan", "status", "trace")


def call(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], within_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Call dockmesh without a terminal and with an empty stdin. Raises TimeoutExpired, as subprocess.run does."""
    with tempfile.TemporaryDirectory() as printed:
        out, err = (Path(printed, name) for name in ("out", "err"))
        process = _server().Process(target=_run, args=(tuple(words), folder, dict(environment), out, err))
        process.start()
        process.join(within_s)
        try:
            if process.exitcode is None:
                process.kill()
                process.join()
                raise subprocess.TimeoutExpired(list(words), within_s, out.read_bytes(), err.read_bytes())
            return subprocess.CompletedProcess(words, process.exitcode, out.read_bytes(), err.read_bytes())
        finally:
            process.close()


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload([f"dockmesh.cli.{verb}" for verb in _VERBS])
    return context


def _run(words: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    for file, number in ((out, 1), (err, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["dockmesh", *words]
    dockmesh.cli.main()
