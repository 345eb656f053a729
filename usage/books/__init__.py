"""The books: what the limit store counted, kept in SQL, and read from both."""
