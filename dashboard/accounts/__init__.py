"""People: signing in, second factors, and the admin's door."""
