"""segrt's lean runtime: opens a bundle, runs it on images and video; never imports torch."""
