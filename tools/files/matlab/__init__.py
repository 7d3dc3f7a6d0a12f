"""MATLAB files, version 5 and 7.3, in the layouts that labs publish."""
