"""Training: data streams, losses, the loop, and its recipes."""
