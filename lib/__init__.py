"""What the notebooks of Voxelbook share: a core for every field, and a wing for each (microscopy,
mri), which the core does not import.

Arrays are ``(X, Y, Z)`` in the file's own axis order, batches ``(N, X, Y, Z, C)``, float32.
"""
