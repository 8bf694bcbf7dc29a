"""CrossPVT_T2T_MambaDINO: heads that estimate all targets from the class vectors of a photo's tiles."""
