"""The live engine against torch and NumPy: `rtdecode verify`."""
