"""Deliberate breakages of the product, each of which some test must notice."""
