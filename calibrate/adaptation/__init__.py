"""A model of other days, calibrated to today and judged: `rtdecode calibrate`."""
