"""What all HTML pages share: colours, style, thumbnails, and texts shown safely."""
