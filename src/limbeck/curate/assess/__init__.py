"""Should a task be distilled, and how much is missing? Statistics over its traces, no training."""
