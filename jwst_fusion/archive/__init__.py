"""Archive operations: find what can be fused, fetch it, and fuse hundreds of targets."""
