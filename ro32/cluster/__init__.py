"""The cluster engine: parts are scored by actors of Ray on many nodes, and kept where the local engine keeps them.

`ray_engine` is the driver's side, `pool` the actors; `worker` is what an actor does, and alone imports no Ray.
"""
