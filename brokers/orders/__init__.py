"""An order's life: its states, the claim that sends it, what the venue reports of it, and its recovery."""
