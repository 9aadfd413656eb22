"""What the command line of AMCT does with its arguments and data, for evaluators of users."""
