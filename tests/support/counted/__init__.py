"""A system for the tests: language models that note each step that is trained."""
