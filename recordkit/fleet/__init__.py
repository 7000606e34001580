"""Many files at once: on all cores of this machine, or on other machines."""
