"""Names of the labs that tests start: checkouts that test at the same time on one machine need labs of their own."""

import os


def named(role: str) -> str:
    """The lab that has a role in this run; $DOCKMESH_LABS sets the run's labs apart from those of others."""
    apart = os.environ.get("DOCKMESH_LABS")
    return f"{role}-{apart}" if apart else role
