"""A study from its files to frozen phases; nothing after this room reads `config/`."""
