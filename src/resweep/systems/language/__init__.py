"""Causal language models over text: a GPT of our own, or any of transformers."""
