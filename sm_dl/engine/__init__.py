"""Lightning, and only here (and in each algorithm's module.py)."""
