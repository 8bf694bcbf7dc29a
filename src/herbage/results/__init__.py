"""Tables, maps, GIS layers and reports, all made from the same Estimate; and exports of models."""
