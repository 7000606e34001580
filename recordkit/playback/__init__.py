"""Recordings as a page plays them: the page's side, and what answers its questions, whatever carries them."""
