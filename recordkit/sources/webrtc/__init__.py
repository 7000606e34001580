"""Media that comes by WebRTC, through aiortc: what arrives is recorded as it arrives."""
