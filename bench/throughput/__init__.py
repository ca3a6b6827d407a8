"""How fast ro32 scores, what bounds it, and what users would get from others: the section `throughput` of results.

subjects    two checkpoints to measure with, made from the sample, each also as a bundle and as its peers want it
contest     ro32 and its peers on the same checkpoints and papers, Parquet to Parquet, in turns
anatomy     of ro32 alone: threads, stages, operators, lengths, the processor's peak, the cost of all but the model
"""
