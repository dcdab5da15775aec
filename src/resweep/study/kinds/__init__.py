"""The kinds of phases, a module each."""
