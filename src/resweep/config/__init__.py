"""The configuration of one training: its fields, how modules make it up, what is wrong with it."""
