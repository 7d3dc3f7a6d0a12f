"""Models from sessions: `rtdecode fit` and `rtdecode pretrain`."""
