"""Stand-ins of Elven and Hivel that enforce what the two vendors document."""
