"""The demonstration: a small network on scikit-learn's handwritten digits, through every step."""
