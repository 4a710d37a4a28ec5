"""What all HTML pages share: colours and style."""
