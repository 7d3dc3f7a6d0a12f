"""The page about a calibration."""
