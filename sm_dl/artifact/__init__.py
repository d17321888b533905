"""The only bridge from training to inference: what is not written here does not exist for serving."""
