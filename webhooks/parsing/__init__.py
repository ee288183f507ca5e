"""Reading: the body of an alert becomes what its sender asks for, or the reason why it is unreadable. Pure."""
