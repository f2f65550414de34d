"""What the words before a number say that it is."""

from __future__ import annotations

import re

_LOOK_BACK = 32
_SAME_SENTENCE = re.compile(r"[^\d\n;!?]*\Z")
_WORD = re.compile(r"[^\W\d_]+|[#№]")

_PHONE = re.compile(
    r"tel|telefono?|teléfono|téléphone|\w*phone|handy|mobile?|mob|cell|móvil|fax|call(?:ed)?|ring|dial"
    r"|whatsapp|reach|contact"
)
_OTHERWISE = re.compile(
    r"[#№]|orders?|invoices?|refs?|reference|tickets?|case|ids?|sku|isbn|issn|doi|ean|gtin|upc|barcode"
    r"|article|item|part|serial|tracking|parcel|shipment|batch|lot|version|build|bestell(?:ung|nummer)"
    r"|rechnung|commande|facture|pedido"
)
_BETWEEN = re.compile(r"num(?:bers?)?|no|nr|code|is|was|are|at|on|under|me|us|him|her|them|back|s")


def named_phone(text: str, start: int) -> bool:
    """The number at `start` is called a telephone number."""
    return _PHONE.fullmatch(_name(text, start)) is not None


def named_otherwise(text: str, start: int) -> bool:
    """The number at `start` is called an order, an article, an id and so on."""
    return _OTHERWISE.fullmatch(_name(text, start)) is not None


def _name(text: str, start: int) -> str:
    """The last word before the number that says anything."""
    before = text[max(0, start - _LOOK_BACK) : start]
    sentence = _SAME_SENTENCE.search(before)
    words = _WORD.findall(before[sentence.start() if sentence else 0 :].lower())
    return next((word for word in reversed(words) if not _BETWEEN.fullmatch(word)), "")
