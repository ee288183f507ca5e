"""One table for every state, action, side and result: its colour and its word."""

from brokers.venues.names import AccountMode

# value: (class of the badge, words). Classes: up, down, info, alarm, fill (solid), quiet (outline), "" (plain).
STATES: dict[str, tuple[str, str]] = {
    # alerts
    "received": ("info", "Received"),
    "decided": ("", "Decided"),
    "expired": ("quiet", "Expired"),
    "failed": ("alarm", "Failed"),
    # decisions: what to do, and the position asked for
    "BUY": ("up", "▲ BUY"),
    "SELL": ("down", "▼ SELL"),
    "CLOSE": ("", "■ CLOSE"),
    "HOLD": ("quiet", "HOLD"),
    "long": ("up", "▲ Long"),
    "short": ("down", "▼ Short"),
    "flat": ("quiet", "Flat"),
    "hold": ("quiet", "Hold: nothing"),
    "follow": ("quiet", "Follow"),
    "filter": ("quiet", "Filter"),
    "shadow": ("quiet", "Shadow"),
    "real": ("quiet", "Real"),
    "counterfactual": ("quiet", "Counterfactual"),
    # outcomes
    "win": ("up", "✓ Target first"),
    "loss": ("down", "✕ Stop first"),
    "timeout": ("quiet", "Horizon reached"),
    "void": ("quiet", "Void"),
    "resolved": ("", "Resolved"),
    # orders
    "buy": ("up", "▲ Buy"),
    "sell": ("down", "▼ Sell"),
    "pending": ("info", "Pending"),
    "submitting": ("info", "Submitting"),
    "unknown": ("alarm", "Unknown"),
    "needs_review": ("alarm", "Needs review"),
    "accepted": ("info", "Accepted"),
    "partially_filled": ("info", "Partially filled"),
    "filled": ("", "✓ Filled"),
    "canceled": ("quiet", "Canceled"),
    "rejected": ("alarm", "Rejected"),
    "denied": ("alarm", "Denied"),
    # trades, outcomes, gaps
    "open": ("info", "Open"),
    "closed": ("", "Closed"),
    # the desk
    "active": ("up", "Active"),
    "reducing": ("info", "Reducing: exits only"),
    "halted": ("fill", "HALTED"),
    # connections and feeds
    "new": ("quiet", "Not yet used"),
    "ok": ("up", "Healthy"),
    "error": ("alarm", "Error"),
    "running": ("up", "Running"),
    "stopped": ("quiet", "Stopped"),
    "stale": ("alarm", "Stale"),
    # models
    "candidate": ("info", "Candidate"),
    "champion": ("up", "★ Champion"),
    "retired": ("quiet", "Retired"),
    "archived": ("quiet", "Archived"),
    "trained": ("", "Trained here"),
    "imported": ("quiet", "Imported"),
    "claimed": ("alarm", "CLAIMED"),
    "promote": ("up", "✓ Promoted"),
    "keep": ("quiet", "✕ Not better"),
    "insufficient": ("quiet", "Not enough evidence"),
    "first": ("info", "First model"),
    "gate": ("up", "✓ Gate"),
    "manual": ("info", "By hand"),
    "rollback": ("info", "Rolled back"),
    "peak": ("down", "▼ Peak: may fall"),
    "trough": ("up", "▲ Trough: may rise"),
    "none": ("quiet", "No move to reverse"),
    "supports": ("up", "✓ Supports it"),
    "opposes": ("down", "✕ Opposes it"),
    "silent": ("quiet", "Silent"),
    # training and proof
    "queued": ("quiet", "Queued"),
    "succeeded": ("", "✓ Succeeded"),
    "passed": ("up", "✓ Every test holds"),
    # sources
    "revoked": ("alarm", "Revoked"),
    "demo": ("info", "Demo"),
    AccountMode.PAPER.value: ("info", "PAPER"),
    AccountMode.LIVE.value: ("fill", "LIVE"),
}
