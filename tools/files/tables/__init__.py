"""Tables of text (CSV, TSV) and of NumPy (NPZ, NPY): what every lab can export."""
