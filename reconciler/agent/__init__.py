"""The reconciler of one node: observe, plan, apply, every tick."""
