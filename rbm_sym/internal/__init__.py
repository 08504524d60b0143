"""What the other folders share and users do not need: checks of arguments, files, memory, types."""
