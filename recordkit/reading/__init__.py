"""Recordings by the frame: an index of what is in a file, and each frame of it found, decoded and dated."""
