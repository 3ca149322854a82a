"""Who we are: temporary credentials that refresh themselves."""
