"""What the replay benchmark runs in processes of its own."""
