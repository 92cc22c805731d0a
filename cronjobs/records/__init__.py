"""Runs as a record for audit: digests, seals, files that prove themselves, and how long all this is kept."""
