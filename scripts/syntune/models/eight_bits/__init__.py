"""Products with a frozen base in 8 bits: FP8 (e4m3) or INT8, scaled by row and by output channel."""
