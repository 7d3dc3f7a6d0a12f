"""The checks of `rtdecode doctor`, one module a subject."""
