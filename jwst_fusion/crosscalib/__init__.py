"""Bandpasses and the flux scale between the instruments."""
