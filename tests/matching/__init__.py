"""Who is owed which update, shown against a reference model by random lives, and corner by corner."""
