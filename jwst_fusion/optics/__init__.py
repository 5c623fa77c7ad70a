"""Optics of the instruments: point spread functions and throughputs."""
