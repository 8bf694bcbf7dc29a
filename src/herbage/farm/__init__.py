"""A farm file: the estimates of a season in one GeoPackage, with the cover and growth of its paddocks."""
