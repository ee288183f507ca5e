"""The tasks of brokers that others nudge, by name."""

from typing import Final

SUBMIT: Final = "brokers.submit_order"
CANCEL: Final = "brokers.cancel_order"
LOOK_UP: Final = "brokers.look_up_order"
SYNC: Final = "brokers.sync_connection"
MATCH: Final = "brokers.match_paper"
MARK: Final = "brokers.mark_equity"
REMOVE_OLD: Final = "brokers.remove_old"
