"""What the images benchmark runs in processes of its own."""
