"""How a rationale is taken out of a reply of each dialect; one file a wire format."""
