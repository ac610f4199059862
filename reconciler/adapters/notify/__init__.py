"""Ways to tell people: webhook, e-mail, a command of the node."""
