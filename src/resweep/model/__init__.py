"""The language model, and its form on disk that transformers loads."""
