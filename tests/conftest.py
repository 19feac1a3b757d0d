"""Puts `builders` within reach of every test, and makes hypothesis as quick and as repeatable as a unit test."""

from hypothesis import settings

settings.register_profile("dockmesh", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("dockmesh")
