"""Unfinished recordings: found, put together, committed; and broken transport streams repaired."""
