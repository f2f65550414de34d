"""One small file a check: whether a trace may train, and the evidence when it may not."""
