"""Who comes in: accounts, their agents, signing in, and the tokens that stand for it."""
