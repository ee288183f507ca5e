"""TA-Lib for arrays. `from market.indicators import talib`.

Where pandas is installed (for tests), TA-Lib would load it in every process of the desk, 60 MB each, and wrap each
function to look for its series. The desk has none.
"""

from algotrendy.optional_modules import hidden

with hidden("pandas", "polars"):
    import talib as talib
