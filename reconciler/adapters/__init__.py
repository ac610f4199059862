"""The outside world: one package a technology, each translating its errors into `reconciler.errors`."""
