"""The recorder and its parts: frames or packets in, one growing file out."""
