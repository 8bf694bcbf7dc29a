"""CrossPVT_T2T_MambaDINO: grams from the class vectors of tiles, by one network a fold for all targets.

The flow, from top to bottom: `retokenizer` (16 small tiles become 4 tokens), `fusion` (small and big tiles exchange
what they know), `mixer` (a half becomes one vector), `network` (both halves become grams).
"""
