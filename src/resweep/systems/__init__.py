"""What is trained: one folder a system, and nothing outside of them knows any by name."""
