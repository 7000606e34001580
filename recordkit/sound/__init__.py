"""Audio alone: WAV, MP3 and Ogg as bytes in and bytes out, without I/O."""
