"""Throughput of ro32, its limits, and its peers on the same checkpoints and papers: the section `throughput`."""
