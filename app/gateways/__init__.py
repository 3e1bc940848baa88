"""Look out: what the service uses from outside its own process and database."""
