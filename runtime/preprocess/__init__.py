"""From a picture to the network's input, and where the picture lies in it."""
