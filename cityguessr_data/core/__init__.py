"""Types, tables, places and the arithmetic of clips. Imports nothing else of this project, and no model."""
