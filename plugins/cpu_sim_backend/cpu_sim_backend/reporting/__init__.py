"""``amct report``: what the analysis finds, in words, as JSON, as advice and as a page."""
