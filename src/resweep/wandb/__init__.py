"""Weights & Biases, in processes beside the training; nothing else imports wandb."""
