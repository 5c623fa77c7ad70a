"""Tests of the archive operations."""
