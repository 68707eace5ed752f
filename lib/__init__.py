"""What the notebooks of Voxelbook share: thin modules, in the order in which data meets them.

Arrays are ``(X, Y, Z)`` in the file's own axis order, batches ``(N, X, Y, Z, C)``, float32.
"""
