"""No library, only the interpreter: what the others are imported into."""
