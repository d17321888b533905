"""One folder per algorithm, all on one plan; none imports another."""
