"""What the other folders share and no user needs: checks of arguments, files, memory."""
