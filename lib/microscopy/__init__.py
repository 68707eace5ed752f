"""Fluorescence microscopy: bead phantoms, point spread functions, deconvolution, bead scores."""
