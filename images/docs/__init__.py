"""The pages under /docs/: what the API promises its clients, with the numbers in force. Public."""
