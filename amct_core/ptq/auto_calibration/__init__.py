"""Which layers have to stay in float so that a network keeps its accuracy: AMCT's search."""
