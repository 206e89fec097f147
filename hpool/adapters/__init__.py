"""Doors for code that exists: each module takes the place of another library's
transport and is imported by itself, since it needs that library."""
