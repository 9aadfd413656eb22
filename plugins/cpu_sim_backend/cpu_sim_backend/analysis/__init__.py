"""Which layers cost accuracy, why, and what to change: what ``amct report`` says."""
