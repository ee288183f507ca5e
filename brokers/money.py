"""The one number that sums of money begin with. Pure."""

from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)
