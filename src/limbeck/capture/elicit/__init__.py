"""Rationales that the client did not ask for: asked for on the way out, taken out on the way back."""
