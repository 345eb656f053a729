"""The panel's pages for customers: how their keys stand, what was refused, and the same as files."""
