"""What every drill shares: its flags, how it is shown, and a load above the ceilings."""
