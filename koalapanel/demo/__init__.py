"""What `up --demo` adds: sample accounts and clients that use the API all the time."""
