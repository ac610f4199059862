"""The forge: the web service around the git remote, asked through its API. Optional."""
