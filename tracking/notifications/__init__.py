"""Tells people and systems of events, through an outbox."""
