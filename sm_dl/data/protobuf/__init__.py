"""The service's protobuf records (`record.proto`): whole batches to and from arrays."""
