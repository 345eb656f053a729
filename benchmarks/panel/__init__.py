"""A panel with as many keys and rows as asked, whose pages are opened: see `benchmarks.pages`."""
