"""Where media comes from: the built-in synthetic source, and anything that PyAV can open."""
