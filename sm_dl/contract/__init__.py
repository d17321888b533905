"""How an algorithm describes itself: hyperparameters, channels, metrics, placement. No torch."""
