"""How the page names a measured column: Height_Ave_cm is "Height Ave", in cm."""

UNITS = {
    "kg_per_ha": "kg/ha", "t_per_ha": "t/ha", "g_per_m2": "g/m²",
    "mm": "mm", "cm": "cm", "m": "m", "g": "g", "kg": "kg", "days": "days", "pct": "%", "percent": "%", "%": "%",
}  # fmt: skip
"""Units by the end of a column's name, behind an underscore; longer ends come first."""


def caption(column: str) -> tuple[str, str | None]:
    """The label and the unit of a column's name; the unit is None where the name does not end in one of UNITS."""
    for end, unit in UNITS.items():
        label = column.removesuffix(f"_{end}")
        if label not in ("", column):
            return label.replace("_", " "), unit
    return column.replace("_", " "), None
