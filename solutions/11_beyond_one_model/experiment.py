"""The recorded experiments of unit 11: what its notebooks quote, for several seeds.

`course results 11_beyond_one_model --seeds 3` runs them all.

Part a, adapters and two modalities: what a few trained weights reach on a transformer for text and on an image encoder;
glyphs with captions. Part b, many owners: federated averaging.
"""

from __future__ import annotations

from typing import Any

DATASET = "glyphs"  # part a also reads the docstrings of unit 09, whatever the data set

# --- part a, adapters: text and images ------------------------------------------------------------------------------

# --- part a, captions -----------------------------------------------------------------------------------------------

# --- part b, many owners --------------------------------------------------------------------------------------------

# One line per part, so that two authors do not meet on a line.
EXPERIMENTS_A: dict[str, Any] = {}
EXPERIMENTS_B: dict[str, Any] = {}
EXPERIMENTS: dict[str, Any] = {**EXPERIMENTS_A, **EXPERIMENTS_B}
