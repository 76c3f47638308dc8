"""The audit trail for people: finding records, telling a story, handing it out, checking it, putting a backup back."""
