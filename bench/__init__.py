"""Measures ro32 and its alternatives. Run as `python -m bench`.

The machine may be shared and noisy, so what is compared takes turns, and medians are reported with their quartiles.
"""

import ro32 as ro32  # before onnxruntime and transformers: it switches their usage reports off
