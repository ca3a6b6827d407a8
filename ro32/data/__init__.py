"""Papers and labels: their contracts and file formats, read and written in bounded memory."""
