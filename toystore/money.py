"""Money as people write it (19.99) and as the ledger holds it (1999): exact, without floats. Pure."""

from __future__ import annotations

import re

from toystore.model import BOUND

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_WITH_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


def decimals(currency: str) -> int:
    """How many decimals a price in this currency (ISO 4217) has: 2 for most, 0 for JPY, 3 for KWD."""
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _WITH_THREE else 2


def minor_units(text: str, currency: str) -> int:
    """The amount in minor units: "20.5" in USD is 2050.

    Raises ValueError where it is no plain decimal number, has more decimals than the currency, or exceeds the
    bound of the ledger.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a price such as {decimal_text(1999, currency)}, found {text!r}")
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    places = decimals(currency)
    if len(fraction) > places:
        raise ValueError(f"a price in {currency} has at most {places} decimals, found {text!r}")
    digits = (whole + fraction.ljust(places, "0")).lstrip("0") or "0"
    if len(digits) > len(str(BOUND)) or int(digits) > BOUND:
        raise ValueError(f"a price is at most {decimal_text(BOUND, currency)}, found {text!r}")
    return int(digits)


def decimal_text(amount: int, currency: str) -> str:
    """The amount in major units, with all decimals of its currency: 2050 in USD is "20.50"."""
    places = decimals(currency)
    sign, digits = "-" if amount < 0 else "", str(abs(amount)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
