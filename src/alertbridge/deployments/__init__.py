"""What is known of deployments: how each sender tells of them, and which one an incident is laid to."""
