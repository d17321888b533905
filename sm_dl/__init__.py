"""Open replacement for the eight deep-learning algorithms of Amazon SageMaker."""

__version__ = "0.1.0"
