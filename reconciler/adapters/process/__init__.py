"""Stages as plain processes, for nodes without a container engine. Imports nothing: the supervisor starts from here."""
