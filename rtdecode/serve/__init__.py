"""The daemon: hot loop, publisher, control, recorder."""
