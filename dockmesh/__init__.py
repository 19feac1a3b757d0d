"""dockmesh joins Docker hosts into one plain-IP network over SSH."""

__version__ = "0.1.0"
