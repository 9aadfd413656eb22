"""A third party's plugin: the layer type ``Scale``, two algorithms and a deploy backend."""
