"""The smallest step of prices and quantities, from the decimals that occur. Pure."""

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

MOST_DECIMALS = 8
SAMPLE = 5_000


def infer_steps(values: NDArray[np.float64]) -> Decimal:
    """Return 0.01 when all `values` have two decimals at most, 1 when none has any; never below 1e-8.

    One value in a thousand may have more: bad ticks and corrected volumes do.
    """
    sample = values[:: max(1, len(values) // SAMPLE)]
    for decimals in range(MOST_DECIMALS):
        # A double carries about 15 digits; what is left after scaling is its rounding.
        off = np.abs(sample - np.round(sample, decimals)) > np.maximum(np.abs(sample), 1) * 1e-13
        if off.mean() <= 0.001:
            return Decimal(1).scaleb(-decimals)
    return Decimal(1).scaleb(-MOST_DECIMALS)
