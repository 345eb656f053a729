"""The replay: what other limits, or another ladder, would have done on the days that are recorded."""
