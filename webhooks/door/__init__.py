"""The door: authenticates, stores and answers alerts in front of Django, without parsing what they ask for."""
