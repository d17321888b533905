"""Bytes to records and columns. No torch and no algorithm here."""
