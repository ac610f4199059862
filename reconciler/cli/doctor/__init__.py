"""``winslow doctor``: looks at everything a node rests on, and says what to change."""
