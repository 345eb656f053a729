"""What the keys benchmark runs in processes of its own."""
