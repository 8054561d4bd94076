"""Drawings and texts of what the other rooms measured."""
