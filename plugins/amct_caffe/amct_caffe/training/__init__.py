"""Training in the user's Caffe: what is checked before it, and how it is run."""
