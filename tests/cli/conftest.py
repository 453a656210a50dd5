"""The memo family for commands, in this process and in the training child."""

from loop.conftest import memo_family

__all__ = ["memo_family"]
