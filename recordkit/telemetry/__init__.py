"""What is known of a recording: its flushes, samples, events and alerts, in memory, on disk and in pandas."""
