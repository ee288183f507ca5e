"""What the pages ask of the database, page by page. Each function asks a constant number of queries."""
