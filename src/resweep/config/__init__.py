"""The configuration of one training: its fields, its composition from modules, its errors."""
