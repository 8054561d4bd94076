"""Measurements and comparisons as data: they neither print nor draw."""
