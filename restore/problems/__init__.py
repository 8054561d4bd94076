"""Forward problems: what was measured, through which operator, with which noise."""
