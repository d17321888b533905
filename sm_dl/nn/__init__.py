"""Torch blocks that at least two algorithms use; they know no algorithm, no file and no job."""
