"""What was asked: one `Job`, from a YAML file or from an `/opt/ml` tree. No torch here."""
