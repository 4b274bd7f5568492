"""A durable bridge from monitoring alerts to Elven Platform and Hivel."""

__version__ = "0.1.0"
