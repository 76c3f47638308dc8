"""Chat auth pools: users for drills of chat, made against the app of a target, kept in a file of the owner's."""
