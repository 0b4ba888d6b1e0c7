"""What executes a network. One file and one entry in `table` for each backend."""
