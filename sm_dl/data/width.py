"""How many numbers a row must have, and who says so: for readers that refuse rows of another length."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Width:
    """What a caller knows of every row before it reads the first one."""

    size: int
    """Numbers of a row; of a sparse one the bound of its keys."""
    reason: str = ""
    """Follows the number in an error, e.g. `, as feature_dim says`."""
    advice: str = ""
    """Ends the error: ` Set feature_dim to the size of the vocabulary.`"""
