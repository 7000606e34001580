"""The panel that starts, stops and watches recordings from a notebook."""
