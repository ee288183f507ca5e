"""One module a page: each lists its own routes, translates a request, and leaves rules to the apps below."""
