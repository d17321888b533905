"""From a ready predictor to answers: HTTP, batch transform and Python callers share one path."""
