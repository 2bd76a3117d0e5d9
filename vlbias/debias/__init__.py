"""Corrections: one file, one method. The room is open; its first methods come with the next releases."""
