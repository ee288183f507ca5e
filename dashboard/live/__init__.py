"""Live regions of the pages: what they show, which change concerns them, and how it gets to the browser."""
