"""Throughput of ro32, its limits, and its peers: the section `throughput` of the results.

subjects    two checkpoints to measure with, made from the sample, each also as a bundle and as its peers want it
contest     ro32 and its peers on the same checkpoints and papers, Parquet to Parquet, in turns
anatomy     of ro32 alone: threads, stages, operators, lengths, the processor's peak, the cost of all but the model
"""
