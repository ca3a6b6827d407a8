"""Papers and labels: their contracts, and the forms that they have in files, read and written in bounded memory."""
