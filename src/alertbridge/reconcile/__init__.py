"""Asks the Alertmanagers of a source what really fires, and puts what follows from it into the inbox."""
