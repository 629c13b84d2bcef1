"""Where people come in: the command line, set-up, doctor, the learner's workspace."""
