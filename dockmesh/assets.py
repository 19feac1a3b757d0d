"""The text files dockmesh renders onto hosts: `templates/` of the checkout, or their copy inside the wheel."""

from functools import cache
from pathlib import Path

_IN_WHEEL = Path(__file__).with_name("templates")
_IN_CHECKOUT = Path(__file__).parent.with_name("templates")


@cache
def template(name: str) -> str:
    """The text of `templates/NAME`."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
    return (folder / name).read_text(encoding="utf-8")
