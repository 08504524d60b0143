"""Pages to be opened in a browser."""
