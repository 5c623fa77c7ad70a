"""Bring both instruments onto one grid: fusion grid, resampling, alignment."""
