def document(models, settings):
    return {}
