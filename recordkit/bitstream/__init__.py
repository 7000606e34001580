"""Facts about coded media, read from its own bytes: pure functions, no I/O, no codec library."""
