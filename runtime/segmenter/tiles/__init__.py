"""Pictures larger than their network: cut into tiles that overlap, each segmented, the results joined by pixels."""
