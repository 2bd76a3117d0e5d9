"""Organisms: tiny vision-language models trained here with a planted bias, the ground truth of the instrument."""
