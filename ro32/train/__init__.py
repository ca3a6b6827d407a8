"""Fine-tunes a BERT-family encoder into a paper classifier: dump in, Hugging Face folder out."""
