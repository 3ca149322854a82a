"""The only code that moves bytes."""
