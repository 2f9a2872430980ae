"""A carrier on loopback that speaks Twilio's REST dialect; it needs no Django (docs/carrier.md)."""
