"""MPEG-TS without I/O: bytes in, bytes out. No file, clock, thread, logger or PyAV in here."""
