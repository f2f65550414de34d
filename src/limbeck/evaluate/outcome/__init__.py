"""Who is right, how often, on what, and at which cost."""
