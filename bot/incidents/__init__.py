"""Incidents as people see them: the live card, the checklist, the exports; and what keeps them true.

Rendering is pure: a `picture.Picture` is gathered in one look at the database, and everything is drawn from it, so
that handing over a shift is reading one card. `keeper` redraws when state changes, `remind` speaks up when nothing
does.
"""
