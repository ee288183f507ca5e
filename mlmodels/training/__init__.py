"""One training: when it is due, its row, the process that runs it, and its report in words."""
