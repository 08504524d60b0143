"""What PyTensor's backends need to compile this package's graphs: a folder for each backend."""
