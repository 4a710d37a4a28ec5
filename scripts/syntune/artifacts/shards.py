"""A row of a dataset's shards: ``id``, ``images`` (bytes and path of each) and ``messages`` (role and content)."""

IMAGE_MARK = "<image>"
"""What stands for an image in a message, as in LLaVA's conversations."""
