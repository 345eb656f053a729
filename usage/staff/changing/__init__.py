"""How staff change a thing without fear: propose, see what would follow, confirm with a reason, undo.

`pages.ChangePages` is the mechanism; a thing adds its form, its words and what depends on it. Nothing is
saved before the confirmation, and then it is `accounts.changing` that saves.
"""
