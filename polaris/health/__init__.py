"""Whether this process answers, and whether it can do its work."""
