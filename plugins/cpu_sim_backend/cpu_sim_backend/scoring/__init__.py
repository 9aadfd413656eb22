"""How outputs of networks are judged: labels, classes, and metrics of the user's."""
