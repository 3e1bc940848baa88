"""Ship the policy that holds until somebody states another, and read the originals' files."""
