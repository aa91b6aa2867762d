"""Pictures, drawn by matplotlib (extra `plot`)."""
