"""What personal or secret text looks like: one file a kind. `find(text)` gives spans."""
