"""The staff pages: how the panel fares, who waits for a word, what the limits are, what was done."""
