"""Neurosuite: .res.N and .clu.N of each shank, as Klusters leaves them, and the session's .xml."""
