"""Numbers are kept sealed, looked up by a keyed hash, shown masked, and forgotten in time."""
