"""Telling people: messages, channels, delivery."""
