"""The command ``winslow``: one file a command. Each says what it found and ends with a documented exit code."""
