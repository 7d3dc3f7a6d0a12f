"""Recordings of LabRecorder: XDF files."""
