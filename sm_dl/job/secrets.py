"""What nobody may read in a log, a report or a failure file: secrets, by the name they go by."""

import os
import re
from collections.abc import Container, Mapping
from functools import lru_cache
from typing import Any

MASK = "******"
MIN_SECRET_CHARACTERS = 6
"""A shorter value is found by chance in a loss or a path, and guessed as quickly."""
_NAME = re.compile(
    r"(^|[_\-.])(ACCESS_?KEY_?ID|(API)?KEY|PASS|AUTH|DSN)$|._PWD$|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|PRIVATE",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"([a-z][a-z0-9+.\-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Return whether a value of this name is nobody's business."""
    return bool(_NAME.search(name))


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the text without passwords in addresses and without values of secret variables."""
    if "://" in text:
        text = _IN_ADDRESS.sub(rf"\1{MASK}", text)
    for name, value in environment.items():
        if len(value) >= MIN_SECRET_CHARACTERS and is_secret_name(name):
            for spelling in (value, repr(value)[1:-1]):
                text = text.replace(spelling, MASK)
    return text


def masked_values(values: Mapping[str, Any], public: Container[str] = ()) -> dict[str, Any]:
    """Return the values, those of secret names hidden unless the name is known to be `public`."""
    return {
        name: MASK if is_secret_name(name) and name not in public else value
        for name, value in values.items()
    }
