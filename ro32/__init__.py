"""ro32 tells which arXiv papers belong in cs.RO (Robotics), and how sure it is."""
