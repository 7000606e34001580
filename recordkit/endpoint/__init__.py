"""The WHIP endpoint (RFC 9725): publishers send by HTTP and WebRTC, each is recorded."""
