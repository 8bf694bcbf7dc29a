"""Tables, maps, GIS layers, reports and exports, all made from the same Estimate."""
