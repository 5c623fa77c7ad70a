"""Measurements in a fused cube: lines and the spectra of regions."""
