"""Near-duplicates: images that look the same, texts that read the same."""
