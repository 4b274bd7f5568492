"""Dead man's switches: what must be heard again and again, and whom to tell that deliveries work."""
