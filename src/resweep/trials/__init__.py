"""What a trial asks for, what it got, and how decisions about it are written down."""
