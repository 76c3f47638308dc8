"""The dashboard: reports of the folder read back, drawn as a page, a picture and a card."""
