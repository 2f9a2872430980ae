"""How often: counts in the database that every process shares."""
