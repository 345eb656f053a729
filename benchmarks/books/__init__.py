"""What the flush benchmark runs in processes of its own."""
