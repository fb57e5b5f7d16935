"""Who gets in, and what each client may ask for."""
