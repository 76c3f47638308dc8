"""What a person finds on the Home tab (ux.md, "Home")."""
