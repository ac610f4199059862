"""The page: what runs, what waits for a person and what to do about it. It reads, and can do nothing else."""
