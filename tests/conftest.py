"""Puts `builders` within reach of every test, and makes hypothesis as quick and as repeatable as a unit test."""

import os
import signal

from hypothesis import settings

settings.register_profile("dockmesh", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("dockmesh")

# What dockmesh writes is tested in UTF-8, also where the one who tests works in another locale.
os.environ["LC_ALL"] = "C.UTF-8"

# Tests start dockmesh as a process. Without bytecode files, each start would compile all modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell starts background jobs with SIGINT ignored, and programs inherit that. Tests that press Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
