"""The distributions of this repository: their one version, their files, and trials of these."""
