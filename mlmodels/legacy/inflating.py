"""The bytes of a joblib file without their compression, up to a bound. Pure."""

import bz2
import lzma
import zlib
from typing import Protocol

LARGEST = 256 * 1024**2  # bytes
_MEMORY = 128 * 1024**2  # of lzma's dictionary


class TooLarge(ValueError):
    """It unpacks to more than any model of this kind needs."""


class NotInflated(ValueError):
    """It is compressed in a way that is not read here, or damaged."""


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def inflate(data: bytes, largest: int = LARGEST) -> bytes:
    """Return what is in a file that joblib wrote with or without compression. Raises TooLarge or NotInflated."""
    inflater = _inflater(data)
    if inflater is None:
        return data
    try:
        inflated = inflater.decompress(data, largest + 1)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
        raise NotInflated(f"its compression is damaged ({error})") from error
    if len(inflated) > largest:
        raise TooLarge(f"it unpacks to more than {largest:,} bytes")
    if not inflater.eof:
        raise NotInflated("its end is missing")
    return inflated


def _inflater(data: bytes) -> _Inflater | None:
    if data.startswith(b"ZF"):
        raise NotInflated("it was written by a joblib before 0.10")
    if data.startswith(b"\x04\x22\x4d\x18"):
        raise NotInflated("it is compressed with lz4")
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31)
    if data.startswith(b"x"):
        return zlib.decompressobj()
    if data.startswith(b"BZ"):
        return bz2.BZ2Decompressor()
    if data.startswith((b"\xfd7zXZ", b"\x5d\x00")):
        return lzma.LZMADecompressor(memlimit=_MEMORY)
    return None
