"""Takes webhooks in: authenticates, bounds, checks the shape, commits, and only then answers."""
