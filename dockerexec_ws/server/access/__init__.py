"""Who gets in: decided once, from the request's environ, before anything is asked of the engine or created."""
