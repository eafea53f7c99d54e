"""Backups: everything that Steam holds in one file, and back."""
