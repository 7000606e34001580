"""Frames or coded packets in, access units out. Codecs by PyAV."""
