"""What a name and a key may look like: one place for the rules that every way in (HTTP, CSV) obeys. Pure."""

from __future__ import annotations

import unicodedata

from toystore.model import MAX_KEY, MAX_NAME


def product_name(text: str) -> str:
    """The name, normalised to NFC: 1..64 printable characters, no "/", not "." or "..", so that it can be
    one segment of a path. Raises ValueError, saying what was wrong."""
    name = unicodedata.normalize("NFC", text)
    if not 1 <= len(name) <= MAX_NAME:
        raise ValueError(f"a name has 1 to {MAX_NAME} characters, this one has {len(name)}")
    if not name.isprintable():
        wrong = next(character for character in name if not character.isprintable())
        raise ValueError(f"a name has only printable characters, this one has U+{ord(wrong):04X}")
    if "/" in name or name in (".", ".."):
        raise ValueError(f'a name has no "/" and is not "." or "..", this one is {name!r}')
    return name


def idempotency_key(text: str) -> str:
    """The key as it is: 1..128 visible ASCII characters. Raises ValueError, saying what was wrong."""
    if not 1 <= len(text) <= MAX_KEY:
        raise ValueError(f"a key has 1 to {MAX_KEY} characters, this one has {len(text)}")
    wrong = next((character for character in text if not "!" <= character <= "~"), None)
    if wrong is not None:
        raise ValueError(f"a key has only visible ASCII characters, this one has {wrong!r}")
    return text
