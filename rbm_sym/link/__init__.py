"""What a backend of PyTensor needs to compile this package's graphs, a folder for each backend."""
