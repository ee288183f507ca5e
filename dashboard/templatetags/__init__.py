"""Tags and filters of templates. What they write is formatted in dashboard.formatting."""
