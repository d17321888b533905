"""Batch transform: a folder of objects, a payload at a time, as the platform does (contract, section 6)."""
