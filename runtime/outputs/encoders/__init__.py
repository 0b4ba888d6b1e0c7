"""Pictures as encoded video for a network: which encoders there are here, and the one that is taken."""
