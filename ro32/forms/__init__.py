"""The forms that papers and labels have in files, read and written in bounded memory."""
