"""Figures of merit of a fused cube."""
