"""Training on several processes: who they are, and what they exchange."""
