"""Causal language models over text: our own GPT, or any model of transformers."""
