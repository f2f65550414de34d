"""What other tools export, one file a format."""
