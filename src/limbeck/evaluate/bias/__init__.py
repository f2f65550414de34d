"""Does a student treat people differently, and what of that does it add to its teacher?"""
