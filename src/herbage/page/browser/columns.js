// The columns of predictions.csv, in order; those of herbage/model/estimate.py.

/** The dry weights; every array of weights has this order. */
export const TARGETS = ["Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g"];

export const COLUMNS = [
  "photo", "status", ...TARGETS,
  ...TARGETS.flatMap((target) => [`${target}_low`, `${target}_high`]),
  "Dry_Total_kg_per_ha", "GDM_kg_per_ha", "in_domain", "taken_at", "latitude", "longitude", "message",
  "training_photo", "shape_differs", "measured",
];
