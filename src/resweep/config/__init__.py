"""The configuration of one training: its fields, how modules are composed, what is wrong with it."""
