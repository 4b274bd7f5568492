"""Claims what is due, sends it, settles what came of it."""
