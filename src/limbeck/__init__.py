"""Limbeck: from a frontier model's explanations to a small model that its users own."""

__version__ = "0.1.0"
