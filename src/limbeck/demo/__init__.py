"""The whole loop in one run, through the same code paths as real use."""
