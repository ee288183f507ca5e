"""Which orders a venue has reported, a bit each: a hundred and twenty-five kilobytes for a million. Pure."""


class Reported:
    """A set of order ids above `after`, small because ids follow one another."""

    def __init__(self, after: int, data: bytes = b"") -> None:
        self.first = after - after % 8
        self.bits = bytearray(data)

    def __contains__(self, order_id: int) -> bool:
        place, bit = divmod(order_id - self.first, 8)
        return 0 <= place < len(self.bits) and bool(self.bits[place] >> bit & 1)

    def add(self, order_id: int) -> None:
        """Add an id; one from before `after` is passed over."""
        place, bit = divmod(order_id - self.first, 8)
        if place < 0:
            return
        self.bits.extend(bytes(max(0, place + 1 - len(self.bits))))
        self.bits[place] |= 1 << bit

    def begin_after(self, after: int) -> None:
        """Drop all ids up to about `after`."""
        first = after - after % 8
        del self.bits[: max(0, (first - self.first) // 8)]
        self.first = max(first, self.first)
