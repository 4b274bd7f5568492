"""Decides what an alert means: which rule matches it, and what is to be said where."""
