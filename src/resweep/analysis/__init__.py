"""Analyses of trained models: gradients and hidden states; may import torch and transformers."""
