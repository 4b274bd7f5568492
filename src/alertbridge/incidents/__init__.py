"""Which incidents open, gain or lose an alert, and close."""
