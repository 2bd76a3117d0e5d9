"""Segment-invariant attention: the engine that makes an answer independent of the order of its segments.

`layout` says where the segments lie, `entries` what each query may see and how keys are turned, `formula` is the slow
oracle, `partials` the PyTorch engine, `kernel_*` the Triton one, `patch` puts an engine into a model and takes it out.

Axes: B batch, L tokens, H query heads, K key heads, D head width, S segments, Q queries.
"""
