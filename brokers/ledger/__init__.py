"""What was traded: posting of executions, profit and loss, equity, and comparing it all with the venue's books."""
