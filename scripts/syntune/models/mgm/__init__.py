"""MGM (Mini-Gemini): Gemma that sees through CLIP and ConvNeXt, joined by patch-info mining."""
