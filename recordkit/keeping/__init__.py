"""Folders that stay within bounds: what lies in them, what is pinned, and how the oldest recordings are deleted."""
