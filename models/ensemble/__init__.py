"""Models that are ensembles of networks."""
