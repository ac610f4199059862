"""Finds people in a fixed camera's video, follows them and reports where, how many and how fast."""
