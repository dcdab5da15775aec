"""What a trial asks for, its result, and the decisions about it."""
