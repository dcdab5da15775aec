"""Weights & Biases, in child processes; nothing else imports wandb."""
