"""Students on this machine: load one, ask it in batches, with the log-probability of every token."""

from limbeck.models.local.card import CARD, read_card, weights_hash
from limbeck.models.local.decoder import Decoder
from limbeck.models.local.said import Said
from limbeck.models.local.student import Student

__all__ = ["CARD", "Decoder", "Said", "Student", "read_card", "weights_hash"]
