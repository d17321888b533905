"""The ten hyperparameters of IP Insights, under the service's names and with its ranges."""

from typing import Self

from pydantic import model_validator

from sm_dl.contract.hyperparameters import Hyperparameters, hyperparameter

MAX_VECTORS, MIN_WIDTH, MAX_WIDTH, MAX_LAYERS = 250_000_000, 4, 4096, 100
"""Bounds that an artifact is held to as well."""
MAX_NEGATIVES = 500
"""Most generated pairs for each observed one, of both kinds together."""


class IPInsightsHyperparameters(Hyperparameters):
    """What one IP Insights job can be told (AWS developer guide; spec section 4)."""

    num_entity_vectors: int = hyperparameter(
        ge=1,
        le=MAX_VECTORS,
        tune=(10_000, 1_000_000),
        expected=f"an integer >= 1 and <= {MAX_VECTORS} such as 100000, or twice the number of entities",
    )
    """Rows of the table that entities are hashed into; twice the number of distinct entities is
    advised. The service's own default file has 100000."""
    vector_dim: int = hyperparameter(
        ge=MIN_WIDTH,
        le=MAX_WIDTH,
        tune=(8, 256),
        expected=f"an integer >= {MIN_WIDTH} and <= {MAX_WIDTH} such as 128",
    )
    """Length of the vectors of entities and addresses; 128 is advised."""
    batch_metrics_publish_interval: int = hyperparameter(default=1000, ge=1)
    """Batches between two lines about speed and metrics."""
    epochs: int = hyperparameter(default=10, ge=1, tune=(1, 100))
    """Passes over the training data; 5 to 100 is usual."""
    learning_rate: float = hyperparameter(default=0.001, ge=1e-6, le=10, tune=(1e-4, 0.1))
    """Step size of Adam, which falls to 0 over the last half of training; 1e-4 to 1e-1 is usual."""
    mini_batch_size: int = hyperparameter(default=10_000, ge=1, le=500_000, tune=(100, 50_000))
    """Examples per update over all processes together, generated ones included: a batch of 1000
    with six negatives a pair holds 143 observed pairs."""
    num_ip_encoder_layers: int = hyperparameter(default=1, ge=0, le=MAX_LAYERS, tune=(1, 10))
    """Fully connected layers with ReLU in the encoder of addresses; with 0 it is linear."""
    random_negative_sampling_rate: int = hyperparameter(default=1, ge=0, le=500, tune=(0, 10))
    """Pairs of the same entity and a random address, for each observed one. Together with
    `shuffled_negative_sampling_rate` 1 to 500."""
    shuffled_negative_sampling_rate: int = hyperparameter(default=1, ge=0, le=500, tune=(0, 10))
    """Pairs of the same entity and the address of another example of the batch, for each observed
    one. Together with `random_negative_sampling_rate` 1 to 500."""
    weight_decay: float = hyperparameter(default=1e-5, ge=0, le=10, tune=(0.0, 1.0))
    """L2 coefficient; on rows of tables only where a batch touches them."""

    @property
    def num_negatives(self) -> int:
        """Return R + S, the generated pairs for each observed one."""
        return self.random_negative_sampling_rate + self.shuffled_negative_sampling_rate

    @property
    def positives_per_batch(self) -> int:
        """Return how many observed pairs an update sees: `mini_batch_size` counts generated ones too."""
        return max(1, round(self.mini_batch_size / (1 + self.num_negatives)))

    @model_validator(mode="after")
    def _draws_negatives(self) -> Self:
        if not 1 <= self.num_negatives <= MAX_NEGATIVES:
            raise ValueError(
                "random_negative_sampling_rate and shuffled_negative_sampling_rate: expected 1 to "
                f"{MAX_NEGATIVES} together; got {self.num_negatives}"
            )
        return self
