"""The kinds of networks: whoever treats them differently asks `rtdecode.models.kinds.registry`."""
