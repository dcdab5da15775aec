"""What can be trained: one folder per system; nothing outside refers to one by name."""
