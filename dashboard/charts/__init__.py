"""Pictures that the server draws: coordinates of SVG. Pure."""
