"""Reads and writes caffemodel files without holding them in memory twice."""
