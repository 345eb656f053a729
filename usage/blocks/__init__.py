"""Why was I blocked? What led to a block or a suspension, and the road back from one."""
