"""The masks of :mod:`syntune.models.dropout` inside Triton kernels, bit for bit. Imported on a GPU only."""

import triton
import triton.language as tl


@triton.jit
def kept(place, seed, threshold):
    """Whether the elements at ``place`` (row times columns plus column, int32) are kept."""
    bits = (place + tl.load(seed)).to(tl.uint32, bitcast=True)
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D + tl.load(seed + 1).to(tl.uint32, bitcast=True)
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits.to(tl.int32, bitcast=True) >= threshold
