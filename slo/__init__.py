"""What good is: Sendcat's promises, its measurements, and one pure judge for each question.

Values in, values out: nothing here reads a clock, the environment, a database or the network.
"""
