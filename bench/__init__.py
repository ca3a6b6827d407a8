"""Measures ro32 and its alternatives, and records the results. Run as `python -m bench`.

The machine may be shared and noisy, so a figure counts only beside another of the same run: what is compared takes
turns, each in a process of its own, and medians are reported with their spread.
"""

import ro32 as ro32  # before onnxruntime and transformers: it switches their usage reports off
