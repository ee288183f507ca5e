"""Client order ids: derived, so that the same leg of the same decision has the same id for ever."""

import hashlib
import uuid

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 18  # Kraken's limit for free text, the tightest of the venues; 36**18 is about 2**93.


def client_order_id(desk_uid: uuid.UUID, reference: str, leg: str, generation: int = 0) -> str:
    """Return 18 characters of [a-z0-9] that depend on the arguments and nothing else.

    `reference` names what asked for the order ("d17" for decision 17), `leg` which order of it.
    """
    text = f"{desk_uid}|{reference}|{leg}|{generation}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "".join(letters)
