"""Transport packets to disk: the mapped buffer, the partial file, its lock, the flushes, the commit."""
