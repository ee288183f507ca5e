"""The door: authenticates, stores and answers alerts in front of Django, and understands nothing of them."""
