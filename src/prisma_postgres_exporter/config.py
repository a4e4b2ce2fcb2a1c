"""What can be configured, as frozen values."""
