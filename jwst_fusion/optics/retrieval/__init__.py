"""Wavefront and blur of the telescope, measured on the stars of images (phase retrieval)."""
