"""Plots of a recording's flushes, samples and alerts; matplotlib is imported here, pyplot nowhere."""
