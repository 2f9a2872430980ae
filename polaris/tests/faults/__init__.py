"""What may go wrong does, to real processes over one database and one carrier that counts."""
