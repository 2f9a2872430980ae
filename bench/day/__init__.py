"""A day of many schedules, replayed through Polaris's own claims and rules with a simulated clock.

Nothing is dialled and nothing is waited for: what the carrier would say is drawn from a seed."""
