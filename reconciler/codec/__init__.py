"""YAML and JSON to and from the core's types, with the place of every fault.

Reading goes bytes -> ``yaml`` (data with positions) -> ``validate`` (JSON Schema) -> ``checks`` (meaning)
-> ``shapes`` (core types); ``desired`` does it for a whole state repository.
"""
