"""What the two sides of a background recording share: messages, descriptions, errors, links."""
