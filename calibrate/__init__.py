"""Learning from sessions: splits, scores, fitting."""
