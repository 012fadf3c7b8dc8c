"""What dse predicts against what is known: closed forms, other programs, measured silicon."""
