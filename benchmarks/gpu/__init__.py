"""What a GPU does with this trainer, measured in one go."""
