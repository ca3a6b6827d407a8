"""The cluster engine: parts are scored by actors of Ray on many nodes, and kept where the local engine keeps them.

    ray_engine.py  the driver's side: hands out parts, collects what became of them, tells parts that kill from bad luck
    pool.py        the actors: how many there are, which of them are ready, free or dead
    worker.py      what an actor does, without a word of Ray

Importing this package does not import Ray: `RayEngine` does when it is made, and says what to install where it is not.
"""
