"""The benchmark of city-level video geo-localisation: models, training, evaluation, tables. Not built yet."""
