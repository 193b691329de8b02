"""Building the images that backends start nodes from: recipes are data, stages are small."""
