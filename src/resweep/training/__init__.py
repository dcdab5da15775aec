"""The training loop and its parts: learner, engines, optimizer, schedule, monitors, metrics."""
