"""Any other vision-language model that transformers loads: its own model class and processor, from a local folder."""
