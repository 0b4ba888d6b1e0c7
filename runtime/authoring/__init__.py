"""What makes or rewrites bundles, and the checks that let one be written."""
