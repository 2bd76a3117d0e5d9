"""Measures and corrects position bias in vision-language models."""

__version__ = "0.1.0"
