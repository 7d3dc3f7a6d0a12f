"""Evaluation of models: jobs in parallel, cached on disk."""
