"""What the operator's files say, read once and with every mistake named; start at `load.py`."""
