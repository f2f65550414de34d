"""How a request of each dialect is asked for a rationale; one file a wire format."""
