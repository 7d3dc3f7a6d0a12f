"""Read NWB 2 files with h5py alone."""
