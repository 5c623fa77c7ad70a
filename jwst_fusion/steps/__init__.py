"""stpipe steps: read, adapt, one pure call, write."""
