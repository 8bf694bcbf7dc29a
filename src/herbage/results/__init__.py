"""What a person, a GIS and the competition read. Everything here reads the same Estimate."""
