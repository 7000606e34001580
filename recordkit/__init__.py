"""recordkit: records live audio and video straight to disk."""
