"""What was traded: posting, profit and loss, equity, comparing it all with the venue's books, and erasing it."""
