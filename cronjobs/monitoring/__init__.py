"""Watching over the nights: what is wrong, who is told, and the figures for Prometheus. Nothing below imports it."""
