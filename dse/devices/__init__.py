"""Memory devices and converters as formulas: standard deviations, error moments, slice sizes; NumPy only."""
